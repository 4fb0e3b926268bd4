#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace sgpt_mi::io {

/// A JSON exception's message without the library's "[json.exception.…]" tag, as printable() shows
/// it. Without its middle when it is long: the library quotes all of a text that it stopped in.
[[nodiscard]] std::string json_message(const nlohmann::json::exception& exception);

/// A JSON reader that sees one event after another and builds no tree, so that memory stays
/// bounded whatever the text holds. Returning false stops the parser.
///
/// Every event goes to other() unless overridden; a syntax error is kept in syntax_error().
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool string(string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool start_object(std::size_t) override { return other(); }
  bool key(string_t&) override { return other(); }
  bool end_object() override { return other(); }
  bool start_array(std::size_t) override { return other(); }
  bool end_array() override { return other(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& exception) override {
    syntax_error_ = json_message(exception);
    return false;
  }

  /// What the parser said about text that is not JSON; empty when it was.
  [[nodiscard]] const std::string& syntax_error() const { return syntax_error_; }

 protected:
  virtual bool other() = 0;

 private:
  std::string syntax_error_;
};

}  // namespace sgpt_mi::io

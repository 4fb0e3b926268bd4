#include <istream>
#include <optional>
#include <string_view>
#include <utility>

#include "json_buffer.h"
#include "readers.h"
#include "record_text.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/json_events.h"

namespace sgpt_mi::documents {
namespace {

/// Takes the records out of one JSON value: an object, or an array of objects or texts.
class DocumentEvents : public io::JsonEvents {
 public:
  DocumentEvents(JsonBuffer& buffer, const RecordFile& file, std::vector<std::string>& texts)
      : buffer_(buffer), file_(file), record_(file.text_key), texts_(texts) {}

  bool start_object(std::size_t) override {
    if (!record_.is_open()) line_ = buffer_.line();
    record_.start_object();
    return true;
  }
  bool end_object() override {
    record_.end_object();
    if (record_.is_open()) return true;
    std::optional<std::string> text = record_.take();
    if (!text) fail(ErrorKind::kInput, "io: {} {}", place(), record_.why());
    return add(*std::move(text));
  }
  bool start_array(std::size_t) override {
    if (record_.is_open()) {
      record_.start_array();
    } else {
      if (in_array_) refuse("an array");
      in_array_ = true;
    }
    return true;
  }
  bool end_array() override {
    if (record_.is_open()) {
      record_.end_array();
    } else {
      in_array_ = false;
    }
    return true;
  }
  bool key(string_t& name) override {
    record_.key(name);
    return true;
  }
  bool string(string_t& value) override {
    if (record_.is_open()) {
      record_.string(value);
      return true;
    }
    if (!in_array_) refuse("a string");
    return add(std::move(value));
  }
  bool null() override {
    if (!record_.is_open()) refuse("null");
    record_.null();
    return true;
  }

  /// "FILE line N", or, in an array, "FILE record N".
  [[nodiscard]] std::string place() {
    if (in_array_) return fmt::format("{} record {}", file_.label, texts_.size() + 1);
    return fmt::format("{} line {}", file_.label, record_.is_open() ? line_ : buffer_.line());
  }

 protected:
  bool other() override {
    if (!record_.is_open()) refuse("a number or a boolean");
    record_.other("a number or a boolean");
    return true;
  }

 private:
  bool add(std::string text) {
    texts_.push_back(std::move(text));
    return texts_.size() < file_.limit;
  }
  [[noreturn]] void refuse(std::string_view found) {
    fail(ErrorKind::kInput, "io: {} is {}; expected a JSON object with a string member \"{}\"",
         place(), found, file_.text_key.empty() ? "text" : file_.text_key);
  }

  JsonBuffer& buffer_;
  const RecordFile& file_;
  RecordText record_;
  std::vector<std::string>& texts_;
  std::size_t line_ = 1;  ///< where the record begins
  bool in_array_ = false;
};

/// A syntax error without the parser's own line and column, which begin at the value.
std::string_view reason_of(std::string_view syntax_error) {
  const std::size_t colon = syntax_error.find(": ");
  const bool placed = syntax_error.starts_with("parse error") && colon != std::string_view::npos;
  return placed ? syntax_error.substr(colon + 2) : syntax_error;
}

[[noreturn]] void refuse_syntax(const JsonBuffer& buffer, DocumentEvents& events,
                                const RecordFile& file) {
  if (const std::optional<BadByte> bad = buffer.bad_byte()) {
    refuse_byte(*bad, file.label, file.offset_place);
  }
  fail(ErrorKind::kInput,
       "io: {} is not valid JSON: {}; expected JSON objects, one a line or in an array",
       events.place(), reason_of(events.syntax_error()));
}

}  // namespace

std::vector<std::string> read_json_records(const ReadBytes& read, const RecordFile& file) {
  std::vector<std::string> texts;
  JsonBuffer buffer(read);
  std::istream stream(&buffer);
  DocumentEvents events(buffer, file, texts);
  buffer.skip_mark();
  while (texts.size() < file.limit && buffer.skip_blanks()) {
    constexpr bool kUpToTheEnd = false;  // another value may follow
    const bool whole = nlohmann::json::sax_parse(stream, &events,
                                                 nlohmann::json::input_format_t::json, kUpToTheEnd);
    if (!whole && !events.syntax_error().empty()) refuse_syntax(buffer, events, file);
  }
  return texts;
}

}  // namespace sgpt_mi::documents

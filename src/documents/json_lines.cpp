#include <optional>
#include <string_view>
#include <utility>

#include "readers.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/json_events.h"

namespace sgpt_mi::documents {
namespace {

constexpr std::size_t kReadBytes = 1 << 16;

/// Cuts a stream of bytes into lines.
class LineReader {
 public:
  explicit LineReader(const ReadBytes& read) : read_(read), buffer_(kReadBytes, '\0') {}

  /// The next line without its newline, or nothing at the end.
  std::optional<std::string> next() {
    std::string line;
    while (true) {
      if (unread_.empty() && !refill()) {
        if (line.empty()) return std::nullopt;
        return line;
      }
      const std::size_t newline = unread_.find('\n');
      line += unread_.substr(0, newline);
      if (newline != std::string_view::npos) {
        unread_.remove_prefix(newline + 1);
        return line;
      }
      unread_ = {};
    }
  }

 private:
  bool refill() {
    unread_ = std::string_view(buffer_).substr(0, read_(buffer_));
    return !unread_.empty();
  }

  const ReadBytes& read_;
  std::string buffer_;
  std::string_view unread_;
};

/// Picks the string member "text" out of one JSON object.
class TextEvents : public io::JsonEvents {
 public:
  std::optional<std::string> text;

  bool start_object(std::size_t) override {
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    ++depth_;
    return depth_ > 1;  // a line that is a list, not an object
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) is_text_ = name == "text";
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 1 && is_text_) text = std::move(value);
    return other();
  }

 protected:
  bool other() override { return depth_ > 0; }  // a line that is a bare value

 private:
  std::size_t depth_ = 0;
  bool is_text_ = false;
};

std::string text_of(const std::string& line, std::size_t number, const std::string& label) {
  TextEvents events;
  const bool parsed = nlohmann::json::sax_parse(line, &events);
  if (!events.syntax_error().empty()) {
    fail(ErrorKind::kInput, "io: {} line {} is not valid JSON: {}; one JSON object a line expected",
         label, number, events.syntax_error());
  }
  if (!parsed || !events.text) {
    fail(ErrorKind::kInput, "io: {} line {} is not a JSON object with a string member \"text\"",
         label, number);
  }
  return *std::move(events.text);
}

}  // namespace

std::vector<std::string> read_json_lines(const ReadBytes& read, const std::string& label,
                                         std::size_t limit) {
  std::vector<std::string> texts;
  LineReader lines(read);
  std::size_t number = 0;
  while (texts.size() < limit) {
    const std::optional<std::string> line = lines.next();
    if (!line) break;
    ++number;
    if (line->find_first_not_of(" \t\r") != std::string::npos) {
      texts.push_back(text_of(*line, number, label));
    }
  }
  return texts;
}

}  // namespace sgpt_mi::documents

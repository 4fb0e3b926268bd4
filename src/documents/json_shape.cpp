#include "json_shape.h"

#include <algorithm>
#include <cstring>
#include <istream>

#include "json_buffer.h"
#include "sgpt_mi/io/json_events.h"

namespace sgpt_mi::documents {
namespace {

/// Sees what kind of value stands at the top and whether it holds what records hold.
class ShapeEvents : public io::JsonEvents {
 public:
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t&) override {
    seen_ = true;
    return true;
  }
  bool string(string_t&) override {
    seen_ = true;
    return depth_ > 0;
  }

  /// Whether a key or a string was seen: text that happens to be JSON, such as [1], has none.
  [[nodiscard]] bool seen() const { return seen_; }

 protected:
  bool other() override { return depth_ > 0; }

 private:
  bool open() {
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  std::size_t depth_ = 0;
  bool seen_ = false;
};

/// Whether a value with keys or strings begins at the next byte and is whole or cut by the end.
bool begins_value(JsonBuffer& buffer) {
  ShapeEvents events;
  std::istream stream(&buffer);
  const bool whole =
      nlohmann::json::sax_parse(stream, &events, nlohmann::json::input_format_t::json, false);
  return events.seen() && (whole || buffer.hit_end());
}

}  // namespace

bool looks_like_records(std::string_view head) {
  JsonBuffer buffer([&](std::span<char> out) {
    const std::size_t count = std::min(out.size(), head.size());
    if (count > 0) std::memcpy(out.data(), head.data(), count);
    head.remove_prefix(count);
    return count;
  });
  buffer.skip_mark();
  if (!buffer.skip_blanks()) return false;
  const char first = buffer.next();
  if ((first != '{' && first != '[') || !begins_value(buffer)) return false;
  if (!buffer.skip_blanks()) return true;
  return buffer.next() == '{' && first == '{' && begins_value(buffer);
}

}  // namespace sgpt_mi::documents

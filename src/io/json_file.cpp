#include "sgpt_mi/io/json_file.h"

#include <string_view>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/json_events.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::io {

std::string json_message(const nlohmann::json::exception& exception) {
  constexpr std::size_t kStart = 160;
  constexpr std::size_t kEnd = 80;
  std::string_view message = exception.what();
  const std::size_t tag_end = message.find("] ");
  if (tag_end != std::string_view::npos) message.remove_prefix(tag_end + 2);
  if (message.size() <= kStart + kEnd) return printable(message);
  return printable_excerpt(message, 0, 0, kStart) + " ... " +
         printable_excerpt(message, message.size() - kEnd, 0, kEnd);
}

nlohmann::json read_json_object(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().empty()) {
    fail(ErrorKind::kInput, "io: {} is empty; a JSON object was expected", path.string());
  }
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  try {
    nlohmann::json json = nlohmann::json::parse(text, text + file.bytes().size());
    if (!json.is_object()) {
      fail(ErrorKind::kInput, "io: {} holds a JSON {}; an object was expected", path.string(),
           json.type_name());
    }
    return json;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::kInput, "io: {} is not valid JSON: {}", path.string(), json_message(error));
  }
}

}  // namespace sgpt_mi::io

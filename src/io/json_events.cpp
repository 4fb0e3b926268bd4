#include "sgpt_mi/io/json_events.h"

namespace sgpt_mi::io {

bool JsonEvents::parse_error(std::size_t, const std::string&,
                             const nlohmann::json::exception& exception) {
  syntax_error_ = json_message(exception);
  return false;
}

std::string json_message(const nlohmann::json::exception& exception) {
  const std::string message = exception.what();
  const std::size_t tag_end = message.find("] ");
  return tag_end == std::string::npos ? message : message.substr(tag_end + 2);
}

}  // namespace sgpt_mi::io

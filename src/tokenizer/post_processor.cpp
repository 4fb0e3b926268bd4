#include "post_processor.h"

#include "json_members.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::text {
namespace {

void append_special_ids(const nlohmann::json& item, const nlohmann::json& special_tokens,
                        std::vector<std::int32_t>& ids) {
  const std::string name = string_member(item, "id");
  for (const nlohmann::json& id : member(member(special_tokens, name.c_str()), "ids")) {
    ids.push_back(parse_token_id(id, name));
  }
}

SpecialFrame parse_template(const nlohmann::json& json) {
  SpecialFrame frame;
  int texts = 0;
  for (const nlohmann::json& item : member(json, "single")) {
    if (item.is_object() && item.contains("SpecialToken")) {
      append_special_ids(item.at("SpecialToken"), member(json, "special_tokens"),
                         texts == 0 ? frame.before : frame.after);
    } else {
      static_cast<void>(member(item, "Sequence"));
      ++texts;
    }
  }
  if (texts != 1) {
    fail(ErrorKind::kInput, "text: the template has {} places for the text; expected one", texts);
  }
  return frame;
}

/// Later processors work on what the earlier ones gave.
SpecialFrame parse_sequence(const nlohmann::json& json) {
  SpecialFrame whole;
  for (const nlohmann::json& step : member(json, "processors")) {
    const SpecialFrame frame = parse_post_processor(step);
    whole.before.insert(whole.before.begin(), frame.before.begin(), frame.before.end());
    whole.after.insert(whole.after.end(), frame.after.begin(), frame.after.end());
  }
  return whole;
}

}  // namespace

SpecialFrame parse_post_processor(const nlohmann::json& json) {
  if (json.is_null()) return {};
  const std::string type = string_member(json, "type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return parse_template(json);
  if (type == "Sequence") return parse_sequence(json);
  fail(ErrorKind::kInput,
       "text: post-processor '{}' is not supported; expected TemplateProcessing, ByteLevel or "
       "Sequence",
       type);
}

}  // namespace sgpt_mi::text

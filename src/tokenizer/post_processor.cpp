#include "post_processor.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"

namespace sgpt_mi::tokenizer {
namespace {

void append_special_ids(const nlohmann::json& item, const nlohmann::json& special_tokens,
                        std::vector<std::int32_t>& ids) {
  const std::string name = pretokenizer::string_member(item, "id");
  for (const nlohmann::json& id :
       pretokenizer::member(pretokenizer::member(special_tokens, name.c_str()), "ids")) {
    ids.push_back(pretokenizer::parse_token_id(id, name));
  }
}

SpecialFrame parse_template(const nlohmann::json& json) {
  SpecialFrame frame;
  int texts = 0;
  for (const nlohmann::json& item : pretokenizer::member(json, "single")) {
    if (item.is_object() && item.contains("SpecialToken")) {
      append_special_ids(item.at("SpecialToken"), pretokenizer::member(json, "special_tokens"),
                         texts == 0 ? frame.before : frame.after);
    } else {
      static_cast<void>(pretokenizer::member(item, "Sequence"));
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
  for (const nlohmann::json& step : pretokenizer::member(json, "processors")) {
    const SpecialFrame frame = parse_post_processor(step);
    whole.before.insert(whole.before.begin(), frame.before.begin(), frame.before.end());
    whole.after.insert(whole.after.end(), frame.after.begin(), frame.after.end());
  }
  return whole;
}

}  // namespace

SpecialFrame parse_post_processor(const nlohmann::json& json) {
  if (json.is_null()) return {};
  const std::string type = pretokenizer::string_member(json, "type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return parse_template(json);
  if (type == "Sequence") return parse_sequence(json);
  fail(ErrorKind::kInput,
       "text: post-processor '{}' is not supported; expected TemplateProcessing, ByteLevel or "
       "Sequence",
       type);
}

}  // namespace sgpt_mi::tokenizer

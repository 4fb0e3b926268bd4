#include <algorithm>
#include <string_view>
#include <utility>

#include "bpe_tokenizer.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/special_tokens/added_vocabulary.h"
#include "sgpt_mi/special_tokens/tokenizer_file.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

using special_tokens::RoleDefaults;

constexpr const char* kEndOfText = "<|endoftext|>";

bool is_qwen2(const SpecialTokenFiles& files) {
  return byte_level_class(files) == ByteLevelClass::kQwen2;
}

RoleDefaults role_defaults(const SpecialTokenFiles& files) {
  if (is_qwen2(files)) {
    return {{"eos_token", kEndOfText}, {"unk_token", kEndOfText}, {"pad_token", kEndOfText}};
  }
  return {{"bos_token", kEndOfText}, {"eos_token", kEndOfText}, {"unk_token", kEndOfText}};
}

std::vector<std::pair<std::string, std::string>> parse_merges(std::string_view text,
                                                              const std::string& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::size_t line_number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      fail(ErrorKind::kInput,
           "text: {} line {}: '{}'; expected two tokens and a space between them", file,
           line_number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

/// What stands around a text: the token of a role, if the configuration asks for it.
void add_frame(const SpecialTokenFiles& files, const special_tokens::AddedVocabulary& added,
               SpecialFrame& frame) {
  const auto side = [&](const char* flag, const char* role, std::vector<std::int32_t>& ids) {
    if (!files.flag(flag, false)) return;
    const std::optional<std::string> token = files.role(role, kEndOfText);
    if (token) ids.push_back(added.id_of(*token).value());
  };
  side("add_bos_token", "bos_token", frame.before);
  side("add_eos_token", "eos_token", frame.after);
}

}  // namespace

ByteLevelClass byte_level_class(const SpecialTokenFiles& files) {
  const std::string model = files.model_type();
  const std::string name = files.tokenizer_class();
  // AutoTokenizer takes no other class for a qwen2 model, whatever its files name.
  if (model == "qwen2" || name == "Qwen2Tokenizer") return ByteLevelClass::kQwen2;
  if (name == "GPT2Tokenizer") return ByteLevelClass::kGpt2;
  if (!name.empty()) return ByteLevelClass::kNone;
  if (model.starts_with("qwen")) return ByteLevelClass::kQwen2;
  return model == "gpt2" || model == "opt" ? ByteLevelClass::kGpt2 : ByteLevelClass::kNone;
}

nlohmann::json vocab_and_merges_json(const SpecialTokenFiles& files) {
  const bool prefix_space = files.flag("add_prefix_space", false);
  const auto byte_level = [&](bool use_regex) {
    return nlohmann::json{{"type", "ByteLevel"},
                          {"add_prefix_space", prefix_space},
                          {"trim_offsets", true},
                          {"use_regex", use_regex}};
  };
  if (!is_qwen2(files)) {
    return {{"normalizer", nullptr},
            {"pre_tokenizer", byte_level(true)},
            {"model", nlohmann::json::object()}};
  }
  const nlohmann::json split = {{"type", "Split"},
                                {"pattern", {{"Regex", kQwen2Split}}},
                                {"behavior", "Isolated"},
                                {"invert", false}};
  return {{"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers", nlohmann::json::array({split, byte_level(false)})}}},
          {"model", nlohmann::json::object()}};
}

BpeStages stages_from_vocab_and_merges(const std::filesystem::path& folder,
                                       const SpecialTokenFiles& files) {
  const std::filesystem::path vocab = folder / "vocab.json";
  const std::filesystem::path merges = folder / "merges.txt";
  const nlohmann::json kind = vocab_and_merges_json(files);

  BpeStages stages;
  stages.normalizer = pretokenizer::parse_normalizer(kind["normalizer"]);
  stages.pre_tokenizer = pretokenizer::parse_pre_tokenizer(kind["pre_tokenizer"]);
  stages.model.vocabulary = pretokenizer::reading(vocab.string(), [&] {
    return pretokenizer::parse_vocabulary(
        pretokenizer::parse_json(special_tokens::read_tokenizer_file(vocab), "the file"));
  });
  stages.model.merges = parse_merges(special_tokens::read_tokenizer_file(merges), merges.string());
  stages.model.byte_level = true;

  const auto added = special_tokens::gather_added_tokens(base_vocabulary(stages.model), {}, files,
                                                         role_defaults(files));
  stages.added_tokens = added.tokens();
  stages.split_special = files.flag("split_special_tokens", false);
  add_frame(files, added, stages.frame);
  return stages;
}

std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(const std::filesystem::path& folder,
                                                           const SpecialTokenFiles& files) {
  return std::make_unique<BpeTokenizer>(stages_from_vocab_and_merges(folder, files));
}

}  // namespace sgpt_mi::tokenizer

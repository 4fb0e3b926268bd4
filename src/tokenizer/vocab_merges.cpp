#include <algorithm>
#include <string_view>
#include <utility>

#include "bpe_tokenizer.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "special_tokens.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

constexpr const char* kGpt2EndOfText = "<|endoftext|>";

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

std::int32_t id_of(const BpeDefinition& model, const std::string& token) {
  const auto found = model.vocabulary.find(token);
  if (found == model.vocabulary.end()) {
    fail(ErrorKind::kInput, "text: special token '{}' is not in vocab.json; add it there", token);
  }
  return found->second;
}

}  // namespace

BpeStages stages_from_vocab_and_merges(const std::filesystem::path& folder) {
  const std::filesystem::path vocab = folder / "vocab.json";
  const std::filesystem::path merges = folder / "merges.txt";
  const SpecialTokenFiles special(folder);

  BpeStages stages;
  stages.normalizer = pretokenizer::parse_normalizer(nullptr);
  stages.pre_tokenizer = pretokenizer::parse_pre_tokenizer(
      {{"type", "ByteLevel"}, {"add_prefix_space", special.flag("add_prefix_space", false)}});
  stages.model.vocabulary = pretokenizer::parse_vocabulary(
      pretokenizer::parse_json(documents::read_text_file(vocab), vocab.string()));
  stages.model.merges = parse_merges(documents::read_text_file(merges), merges.string());
  stages.model.byte_level = true;

  stages.added_tokens = special.numbered_tokens();
  for (AddedToken& token : special.role_tokens()) {
    token.id = id_of(stages.model, token.content);
    stages.added_tokens.push_back(std::move(token));
  }
  const auto bos = special.role("bos_token", kGpt2EndOfText);
  if (stages.added_tokens.empty() && stages.model.vocabulary.contains(*bos)) {
    stages.added_tokens.push_back({.content = *bos, .id = id_of(stages.model, *bos)});
  }
  if (special.flag("add_bos_token", false)) {
    stages.frame.before.push_back(id_of(stages.model, *bos));
  }
  return stages;
}

std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(const std::filesystem::path& folder) {
  return std::make_unique<BpeTokenizer>(stages_from_vocab_and_merges(folder));
}

}  // namespace sgpt_mi::tokenizer

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gguf_tokenizer.h"
#include "sentencepiece_proto.h"

namespace sgpt_mi::tokenizer {
namespace {

constexpr std::string_view kSpace = "▁";  // sentencepiece's space

/// A merge and what sorts it: pieces of a higher score merge first, then longer halves.
struct Merge {
  float score = 0.0F;
  std::string left;
  std::string right;
};

using Ids = std::unordered_map<std::string, std::size_t>;

bool is_normal(const GgufVocabulary& vocabulary, std::size_t id) {
  return vocabulary.types.empty() || vocabulary.types[id] == sentencepiece_proto::kNormal ||
         vocabulary.types[id] == sentencepiece_proto::kUserDefined;
}

/// Every way in which two pieces make `piece`, by the ids of the halves.
void add_merges(const std::string& piece, float score, const Ids& ids, std::vector<Merge>& merges) {
  const std::size_t first = merges.size();
  for (std::size_t cut = 1; cut < piece.size(); ++cut) {
    if ((static_cast<unsigned char>(piece[cut]) & 0xc0U) == 0x80U) continue;  // within a character
    std::string left = piece.substr(0, cut);
    std::string right = piece.substr(cut);
    if (ids.contains(left) && ids.contains(right)) {
      merges.push_back({score, std::move(left), std::move(right)});
    }
  }
  std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
            [&](const Merge& a, const Merge& b) {
              return std::pair(ids.at(a.left), ids.at(a.right)) <
                     std::pair(ids.at(b.left), ids.at(b.right));
            });
}

nlohmann::json merges_of(const GgufVocabulary& vocabulary) {
  Ids ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (is_normal(vocabulary, id)) ids.emplace(vocabulary.tokens[id], id);
  }
  const bool by_id = gguf_scores_say_nothing(vocabulary);
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!is_normal(vocabulary, id)) continue;
    const float score = by_id ? -static_cast<float>(id) : vocabulary.scores[id];
    add_merges(vocabulary.tokens[id], score, ids, merges);
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(a.score, a.left.size(), a.right.size()) >
           std::tuple(b.score, b.left.size(), b.right.size());
  });
  nlohmann::json list = nlohmann::json::array();
  for (const Merge& merge : merges) list.push_back({merge.left, merge.right});
  return list;
}

nlohmann::json replace(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

nlohmann::json normalizer(const GgufVocabulary& vocabulary) {
  nlohmann::json steps = nlohmann::json::array();
  if (vocabulary.add_space_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace(" ", kSpace));
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

nlohmann::json decoder(const GgufVocabulary& vocabulary) {
  nlohmann::json steps{replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (vocabulary.add_space_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

}  // namespace

nlohmann::json gguf_sentencepiece_json(const GgufVocabulary& vocabulary) {
  nlohmann::json vocab = nlohmann::json::object();
  bool bytes = false;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    vocab[vocabulary.tokens[id]] = id;
    bytes |= !vocabulary.types.empty() && vocabulary.types[id] == sentencepiece_proto::kByte;
  }
  nlohmann::json model{
      {"type", "BPE"},          {"fuse_unk", true},          {"byte_fallback", bytes},
      {"ignore_merges", false}, {"vocab", std::move(vocab)}, {"merges", merges_of(vocabulary)}};
  if (vocabulary.unk_id) {
    model["unk_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unk_id)];
  }
  return {{"version", "1.0"},
          {"added_tokens", gguf_control_tokens(vocabulary)},
          {"normalizer", normalizer(vocabulary)},
          {"pre_tokenizer", nullptr},
          {"post_processor", gguf_post_processor(vocabulary)},
          {"decoder", decoder(vocabulary)},
          {"model", std::move(model)}};
}

}  // namespace sgpt_mi::tokenizer

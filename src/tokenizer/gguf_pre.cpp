#include "gguf_pre.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

/// What stands in front of the ByteLevel step: patterns whose matches are pieces, one after the
/// other, and whether digits stand alone.
struct PreRule {
  std::vector<std::string_view> names;   ///< the first is the one that is written
  std::vector<std::string> splits = {};  ///< none: ByteLevel's own pattern
  const char* normalizer = "";           ///< type, or empty
  bool individual_digits = false;        ///< a Digits step behind the splits
  bool ignore_merges = false;
};

constexpr const char* kLlama3Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kSeedCoderSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kBailingSplit =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kTekkenSplit =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4oSplit =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepSeekCjk = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr const char* kDeepSeekV3Cjk = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr const char* kDeepSeekV3Split =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepSeekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
/// The letters of alphabets with two cases, as deepseek-llm lists them.
constexpr const char* kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386})"
    R"(\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F})"
    R"(\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA})"
    R"(\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E})"
    R"(\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A})"
    R"(\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)";

const std::vector<PreRule>& pre_rules() {
  static const std::vector<PreRule> kRules = {
      {.names = {"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de",
                 "a.x-4.0", "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe",
                 "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"}},
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
                 "lfm2", "jina-v5-nano"},
       .splits = {kLlama3Split},
       .ignore_merges = true},
      {.names = {"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, .splits = {kLlama3Split}},
      {.names = {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan",
                 "solar-open", "grok-2"},
       .splits = {kQwen2Split},
       .normalizer = "NFC"},
      {.names = {"qwen35"}, .splits = {kQwen35Split}, .normalizer = "NFC"},
      {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
                 "mellum2"},
       .individual_digits = true},
      {.names = {"deepseek-llm"},
       .splits = {R"([\r\n])", kDeepSeekLetters, kDeepSeekPunctuation, R"(\s+$)", kDeepSeekCjk,
                  R"(\p{N}+)"}},
      {.names = {"deepseek-coder"},
       .splits = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekCjk},
       .individual_digits = true},
      {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       .splits = {R"(\p{N}{1,3})", kDeepSeekV3Cjk, kDeepSeekV3Split}},
      {.names = {"tekken"}, .splits = {kTekkenSplit}, .ignore_merges = true},
      {.names = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, .splits = {kGpt4oSplit}},
      {.names = {"seed-coder"}, .splits = {kSeedCoderSplit}},
      {.names = {"bailingmoe", "bailingmoe2", "llada-moe"}, .splits = {kBailingSplit}}};
  return kRules;
}

const PreRule& find_rule(const std::string& pre) {
  std::vector<std::string_view> known;
  for (const PreRule& rule : pre_rules()) {
    if (std::find(rule.names.begin(), rule.names.end(), pre) != rule.names.end()) return rule;
    known.insert(known.end(), rule.names.begin(), rule.names.end());
  }
  fail(ErrorKind::kInput,
       "text: GGUF pre-tokenizer '{}' (metadata 'tokenizer.ggml.pre') is not supported; expected "
       "one of {}; use the model's Hugging Face folder",
       printable(pre), fmt::join(known, ", "));
}

nlohmann::json pre_tokenizer_json(const PreRule& rule) {
  nlohmann::json steps = nlohmann::json::array();
  for (const std::string& split : rule.splits) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", split}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  if (rule.individual_digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  steps.push_back(byte_level_json(rule.splits.empty()));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

nlohmann::json normalizer_json(const PreRule& rule) {
  if (*rule.normalizer == '\0') return nullptr;
  return {{"type", rule.normalizer}};
}

/// Adds the steps of a pre-tokenizer or normalizer to a list, without the members that change no
/// piece, so that equal lists split alike.
void add_plain_steps(const nlohmann::json& json, nlohmann::json& steps) {
  if (json.is_null()) return;
  const std::string type = pretokenizer::string_member(json, "type");
  if (type == "Sequence") {
    const char* members = json.contains("normalizers") ? "normalizers" : "pretokenizers";
    for (const nlohmann::json& step : pretokenizer::member(json, members)) {
      add_plain_steps(step, steps);
    }
    return;
  }
  nlohmann::json step = json;
  step.erase("trim_offsets");
  if (type == "ByteLevel") {
    step["add_prefix_space"] = pretokenizer::bool_member(json, "add_prefix_space", true);
    step["use_regex"] = pretokenizer::bool_member(json, "use_regex", true);
  }
  if (type == "Split") step["invert"] = pretokenizer::bool_member(json, "invert", false);
  steps.push_back(std::move(step));
}

nlohmann::json plain_steps(const nlohmann::json& json) {
  nlohmann::json steps = nlohmann::json::array();
  add_plain_steps(json, steps);
  return steps;
}

}  // namespace

nlohmann::json byte_level_json(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

GgufSplit gguf_split(const std::string& pre) {
  const PreRule& rule = find_rule(pre);
  return {normalizer_json(rule), pre_tokenizer_json(rule), rule.ignore_merges};
}

std::string gguf_pre_of(const nlohmann::json& tokenizer) {
  const nlohmann::json pieces = plain_steps(tokenizer.value("pre_tokenizer", nlohmann::json()));
  const nlohmann::json forms = plain_steps(tokenizer.value("normalizer", nlohmann::json()));
  const bool ignores_merges =
      pretokenizer::bool_member(pretokenizer::member(tokenizer, "model"), "ignore_merges", false);
  for (const PreRule& rule : pre_rules()) {
    if (plain_steps(pre_tokenizer_json(rule)) == pieces &&
        plain_steps(normalizer_json(rule)) == forms && rule.ignore_merges == ignores_merges) {
      return std::string(rule.names.front());
    }
  }
  fail(ErrorKind::kInput,
       "text: llama.cpp has no name for this pre-tokenizer, so a GGUF file cannot say it: {} after "
       "the normalizer {}, ignore_merges {}",
       pieces.dump(), forms.dump(), ignores_merges);
}

}  // namespace sgpt_mi::tokenizer

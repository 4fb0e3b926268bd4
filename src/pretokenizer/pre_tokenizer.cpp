#include "sgpt_mi/pretokenizer/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "pattern_split.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/byte_alphabet.h"
#include "sgpt_mi/pretokenizer/json_members.h"

namespace sgpt_mi::pretokenizer {
namespace {

// The pattern of GPT-2 (Radford et al. 2019, encoder.py), which ByteLevel uses.
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Puts a space in front of every piece that does not begin with one.
class PrefixSpace : public SplitStep {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> list = pieces.list();
    for (Piece& piece : list) {
      if (!piece.text.starts_with(' ')) piece.text = pieces.keep(fmt::format(" {}", piece.text));
    }
    pieces.replace(std::move(list));
  }
};

/// Writes every piece in the byte alphabet, as ByteLevel hands it to the steps behind it, and back.
class ToByteLetters : public SplitStep {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> list = pieces.list();
    for (Piece& piece : list) piece.text = pieces.keep(letters_of_bytes(piece.text));
    pieces.replace(std::move(list));
  }
};

class FromByteLetters : public SplitStep {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> list = pieces.list();
    for (Piece& piece : list) piece.text = pieces.keep(bytes_of_token(piece.text).value());
    pieces.replace(std::move(list));
  }
};

/// Spaces become the replacement character; one is put in front of a piece as the scheme says.
class Metaspace : public SplitStep {
 public:
  enum class Prepend { kAlways, kFirst, kNever };
  Metaspace(std::string replacement, Prepend prepend)
      : replacement_(std::move(replacement)), prepend_(prepend) {}

  void apply(Pieces& pieces) const override {
    std::vector<Piece> list = pieces.list();
    for (Piece& piece : list) {
      std::string text;
      for (const char c : piece.text) c == ' ' ? text += replacement_ : text += c;
      const bool wanted =
          prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && piece.at_text_start);
      if (wanted && !text.starts_with(replacement_)) text.insert(0, replacement_);
      piece.text = pieces.keep(std::move(text));
    }
    pieces.replace(std::move(list));
  }

 private:
  std::string replacement_;
  Prepend prepend_;
};

Metaspace::Prepend parse_prepend_scheme(const nlohmann::json& json) {
  if (!json.contains("prepend_scheme")) {
    return bool_member(json, "add_prefix_space", true) ? Metaspace::Prepend::kAlways
                                                       : Metaspace::Prepend::kNever;
  }
  const std::string scheme = string_member(json, "prepend_scheme");
  if (scheme == "always") return Metaspace::Prepend::kAlways;
  if (scheme == "first") return Metaspace::Prepend::kFirst;
  if (scheme == "never") return Metaspace::Prepend::kNever;
  fail(ErrorKind::kInput, "text: Metaspace prepend_scheme '{}'; expected always, first or never",
       scheme);
}

void add_metaspace(const nlohmann::json& json, PreTokenizer& chain) {
  const std::string replacement = string_member(json, "replacement");
  chain.steps.push_back(std::make_unique<Metaspace>(replacement, parse_prepend_scheme(json)));
  if (bool_member(json, "split", true)) {
    chain.steps.push_back(std::make_unique<PatternSplit>(Regex::literal(replacement),
                                                         SplitBehavior::kMergedWithNext));
  }
}

void add_byte_level(const nlohmann::json& json, PreTokenizer& chain) {
  if (bool_member(json, "add_prefix_space", true)) {
    chain.steps.push_back(std::make_unique<PrefixSpace>());
  }
  if (bool_member(json, "use_regex", true)) {
    chain.steps.push_back(std::make_unique<PatternSplit>(Regex(pcre_from_oniguruma(kGpt2Pattern)),
                                                         SplitBehavior::kIsolated));
  }
  chain.byte_level = true;
}

void add_split(const nlohmann::json& json, PreTokenizer& chain) {
  chain.steps.push_back(std::make_unique<PatternSplit>(
      parse_pattern(member(json, "pattern")), parse_split_behavior(string_member(json, "behavior")),
      bool_member(json, "invert", false)));
}

void add_digits(const nlohmann::json& json, PreTokenizer& chain) {
  const bool individual = bool_member(json, "individual_digits", false);
  chain.steps.push_back(std::make_unique<PatternSplit>(
      Regex("\\p{N}"), individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous));
}

void add_punctuation(const nlohmann::json& json, PreTokenizer& chain) {
  const SplitBehavior behavior = json.contains("behavior")
                                     ? parse_split_behavior(string_member(json, "behavior"))
                                     : SplitBehavior::kIsolated;
  chain.steps.push_back(std::make_unique<PatternSplit>(Regex("[\\p{P}!-/:-@\\[-`{-~]"), behavior));
}

void add_whitespace(const nlohmann::json& /*json*/, PreTokenizer& chain) {
  // \w of Rust's regex crate: UTS #18, annex C.
  constexpr const char* kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
  const std::string pattern = fmt::format("[{0}]+|[^{0}\\p{{White_Space}}]+", kWord);
  chain.steps.push_back(
      std::make_unique<PatternSplit>(Regex(pattern), SplitBehavior::kRemoved, /*invert=*/true));
}

void add_whitespace_split(const nlohmann::json& /*json*/, PreTokenizer& chain) {
  chain.steps.push_back(
      std::make_unique<PatternSplit>(Regex("\\p{White_Space}"), SplitBehavior::kRemoved));
}

void add_steps(const nlohmann::json& json, PreTokenizer& chain);

void add_sequence(const nlohmann::json& json, PreTokenizer& chain) {
  std::size_t index = 0;
  for (const nlohmann::json& step : member(json, "pretokenizers")) {
    reading(fmt::format("pretokenizers[{}]", index++), [&] { add_steps(step, chain); });
  }
}

/// Steps behind ByteLevel see its letters: whatever rewrites a text would write others.
void check_behind_byte_level(const std::string& type, PreTokenizer& chain) {
  if (type == "ByteLevel" || type == "Metaspace") {
    fail(ErrorKind::kInput, "text: pre-tokenizer '{}' after ByteLevel is not supported", type);
  }
  if (type != "Sequence" && !chain.in_letters) {
    chain.steps.push_back(std::make_unique<ToByteLetters>());
    chain.in_letters = true;
  }
}

void add_steps(const nlohmann::json& json, PreTokenizer& chain) {
  using Parser = void (*)(const nlohmann::json&, PreTokenizer&);
  constexpr std::pair<std::string_view, Parser> kParsers[] = {
      {"Sequence", add_sequence},     {"ByteLevel", add_byte_level},
      {"Split", add_split},           {"Digits", add_digits},
      {"Metaspace", add_metaspace},   {"Punctuation", add_punctuation},
      {"Whitespace", add_whitespace}, {"WhitespaceSplit", add_whitespace_split}};
  const std::string type = string_member(json, "type");
  if (chain.byte_level) check_behind_byte_level(type, chain);
  for (const auto& [name, parser] : kParsers) {
    if (type == name) return parser(json, chain);
  }
  fail(ErrorKind::kInput,
       "text: pre-tokenizer '{}' is not supported; expected ByteLevel, Split, Digits, "
       "Metaspace, Punctuation, Whitespace, WhitespaceSplit or Sequence",
       type);
}

}  // namespace

PreTokenizer parse_pre_tokenizer(const nlohmann::json& json) {
  PreTokenizer chain;
  if (!json.is_null()) add_steps(json, chain);
  if (chain.in_letters) chain.steps.push_back(std::make_unique<FromByteLetters>());
  return chain;
}

}  // namespace sgpt_mi::pretokenizer

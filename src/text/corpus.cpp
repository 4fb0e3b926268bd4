#include "sgpt_mi/text/corpus.h"

#include <algorithm>

#include "dataset_files.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "user_files.h"

namespace sgpt_mi::text {
namespace {

constexpr std::size_t kC4Documents = 1100;
constexpr std::int64_t kC4Windows = 256;

bool is_recorded(const std::string& set) { return set.ends_with(".safetensors"); }

EvalSet load_recorded(const std::string& path) {
  EvalSet set;
  set.name = std::filesystem::path(path).stem().string();
  set.protocol = "recorded";
  set.windows = read_recorded_windows(path);
  set.tokens = static_cast<std::int64_t>(set.windows.ids.size());
  set.token_sha256 = set.windows.sha256();
  return set;
}

EvalSet tokenize_set(const std::string& name, const DataSettings& settings,
                     const tokenizer::Tokenizer& tokenizer, std::int64_t seqlen) {
  const std::string text = load_eval_text(name, settings);
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  EvalSet set;
  set.name = is_dataset_name(name) ? name : std::filesystem::path(name).stem().string();
  set.protocol = "gptq";
  set.text_sha256 = sha256_hex(text);
  set.tokens = static_cast<std::int64_t>(ids.size());
  set.token_sha256 = token_sha256(ids);
  if (set.tokens < seqlen) {
    fail(ErrorKind::kInput,
         "text: evaluation text '{}' has {} tokens; expected at least one window of {}; use a "
         "longer "
         "text or a smaller --seqlen",
         name, set.tokens, seqlen);
  }
  const auto kept = name == "c4" ? std::min(set.tokens, kC4Windows * seqlen) : set.tokens;
  set.windows = cut_windows(std::span(ids).first(static_cast<std::size_t>(kept)), seqlen);
  return set;
}

}  // namespace

std::string load_eval_text(const std::string& set, const DataSettings& settings) {
  if (set == "c4") return join(load_rows(set, Split::kTest, settings, kC4Documents), " ");
  if (set == "ptb") return join(load_rows(set, Split::kTest, settings), " ");
  if (is_dataset_name(set)) return join(load_rows(set, Split::kTest, settings), "\n\n");
  return join(read_user_file(set, settings).texts, " ");
}

EvalSet load_eval_set(const std::string& set, const DataSettings& settings,
                      const tokenizer::Tokenizer* tokenizer, std::int64_t seqlen,
                      std::int64_t max_windows) {
  EvalSet result;
  if (is_recorded(set)) {
    result = load_recorded(set);
  } else {
    require_tokenizer(tokenizer, set);
    result = tokenize_set(set, settings, *tokenizer, seqlen);
  }
  if (max_windows > 0 && max_windows < result.windows.windows) {
    result.windows = first_windows(result.windows, max_windows);
  }
  return result;
}

}  // namespace sgpt_mi::text

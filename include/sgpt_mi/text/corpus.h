#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sgpt_mi/text/windows.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::text {

/// Where dataset files are looked for: --data-dir (or SGPT_MI_DATA), the Hugging Face cache, and
/// then the Hub; and how files that the user names are read.
struct DataSettings {
  std::filesystem::path data_dir;  ///< empty: only the cache and the Hub
  /// Where the text of a record stands (documents::read_documents); named sets have keys of their
  /// own.
  std::string text_key = {};
};

/// A text to measure perplexity on, cut into windows, with everything a report needs to name it.
struct EvalSet {
  std::string name;          ///< "wikitext2", "ptb", "c4", or the stem of a file
  std::string protocol;      ///< "gptq": load_eval_text(); "recorded": windows taken as they are
  std::string text_sha256;   ///< of the UTF-8 text; empty for recorded windows
  std::int64_t tokens = 0;   ///< of the whole text, BOS included, before windows are cut
  std::string token_sha256;  ///< of all those tokens
  TokenWindows windows;
};

/// The evaluation text of a set: wikitext2 test rows joined with "\n\n" (rows keep their newline),
/// ptb test lines joined with " ", c4's first 1100 validation documents joined with " "; a path
/// gives the file's text, or its documents joined with " ". Throws Error(kInput) listing the places
/// tried, or when a file holds no text.
[[nodiscard]] std::string load_eval_text(const std::string& set, const DataSettings& settings);

/// An evaluation set ready to score. `tokenizer` may be null when `set` is a .safetensors file with
/// recorded windows; `seqlen` is ignored for those. For c4 the first 256 * seqlen tokens are kept.
/// `max_windows` > 0 keeps the first ones only.
[[nodiscard]] EvalSet load_eval_set(const std::string& set, const DataSettings& settings,
                                    const tokenizer::Tokenizer* tokenizer, std::int64_t seqlen,
                                    std::int64_t max_windows);

}  // namespace sgpt_mi::text

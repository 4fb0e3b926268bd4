#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::text {

enum class Split { kTrain, kTest };  ///< for c4, kTest is its validation split

/// Whether a name is one of the sets wikitext2, ptb, c4.
[[nodiscard]] bool is_dataset_name(const std::string& name);

/// The rows of a set as the reference loaders see them: wikitext2: lines with their newline, blank
/// ones empty; ptb: lines without surrounding white space; c4: the first `limit` documents.
/// Looks in data_dir, then in the Hugging Face cache, into which it is downloaded at last. Throws
/// Error(kInput) listing the places tried.
[[nodiscard]] std::vector<std::string> load_rows(
    const std::string& set, Split split, const DataSettings& settings,
    std::size_t limit = std::numeric_limits<std::size_t>::max());

/// Throws Error(kInput) when there is no tokenizer for the text of `set`.
void require_tokenizer(const tokenizer::Tokenizer* tokenizer, const std::string& set);

/// Lines of a text with their newline; a line of white space only becomes the empty string.
[[nodiscard]] std::vector<std::string> wikitext_rows(const std::string& text);

/// All rows with `separator` between them.
[[nodiscard]] std::string join(const std::vector<std::string>& rows, const std::string& separator);

}  // namespace sgpt_mi::text

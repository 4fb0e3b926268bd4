#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace sgpt_mi::documents {

/// The whole of a file as bytes; gzip is unpacked when the name ends in ".gz".
/// Throws Error(kInput) when it is missing, unreadable, cut or not gzip.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path);

/// The first `limit` documents of a file with one document a record:
/// .jsonl, .json, .jsonl.gz, .json.gz (one JSON object a line, its "text" member) or .parquet
/// (string column "text", else "sentence"). Reads no further than it must.
/// Throws Error(kInput) naming file and record when one is malformed or has no text.
[[nodiscard]] std::vector<std::string> read_documents(
    const std::filesystem::path& path, std::size_t limit = std::numeric_limits<std::size_t>::max());

/// Whether read_documents takes a file of this name.
[[nodiscard]] bool is_document_file(const std::filesystem::path& path);

}  // namespace sgpt_mi::documents

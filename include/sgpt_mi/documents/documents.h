#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

// Files of texts. What a file is, is told by its content, and by its name only where the content
// leaves it open (src/documents/README.md). The functions below throw Error(kInput) naming the file
// when it is missing, unreadable, cut, damaged or a Git LFS pointer.

namespace sgpt_mi::documents {

/// The whole of a file as bytes; gzip, zstd and xz are unpacked.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path);

/// The whole of a text file as Python's open() gives it: UTF-8, without a byte order mark, every
/// line ended by \n. Packed files as above. Throws Error(kInput) with offset and excerpt of what is
/// not UTF-8, and for what is no text: UTF-16, archives and the like, and CSV by its name.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

/// Throws as read_text does for a text that is not UTF-8; `label` names where it is from.
void require_utf8(const std::string& text, const std::string& label);

/// Whether a file has records, each with a text, instead of being one text: JSON lines, an array of
/// JSON objects, parquet or Arrow. Throws as read_text does for what is neither.
[[nodiscard]] bool holds_documents(const std::filesystem::path& path);

/// The texts of the first `limit` records of such a file. Reads no further than it must.
///
/// A text stands under `text_key`, dots leading into nested objects; without one under "text", else
/// "sentence", "messages" or "conversations". Of a list of messages the contents are joined by
/// newlines.
///
/// Throws Error(kInput) naming file and record when one is malformed or not UTF-8, and listing the
/// keys when it has no text.
[[nodiscard]] std::vector<std::string> read_documents(
    const std::filesystem::path& path, std::size_t limit = std::numeric_limits<std::size_t>::max(),
    const std::string& text_key = {});

/// Whether a file of this name is one of records, whatever it holds.
[[nodiscard]] bool is_document_file(const std::filesystem::path& path);

}  // namespace sgpt_mi::documents

#pragma once

#include <arrow/api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "readers.h"

namespace sgpt_mi::documents {

/// Throws Error(kInput) that says what Arrow says, std::bad_alloc where memory ran out; `format` is
/// "parquet" or "Arrow".
void check_arrow(const arrow::Status& status, const std::string& label, std::string_view format);

/// Memory for what is in a file of `file_bytes`: a damaged one may say that it unpacks to anything.
[[nodiscard]] inline arrow::CappedMemoryPool memory_for(std::size_t file_bytes) {
  constexpr std::int64_t kLeast = std::int64_t{256} << 20;
  constexpr std::int64_t kRatio = 1024;  // of packing, with room: text has 3 to 10
  return {arrow::default_memory_pool(), kLeast + kRatio * static_cast<std::int64_t>(file_bytes)};
}

template <typename T>
T take_arrow(arrow::Result<T> result, const std::string& label, std::string_view format) {
  check_arrow(result.status(), label, format);
  return std::move(result).ValueUnsafe();
}

/// The column of a table with its texts, by the names that RecordFile::text_key leaves, or a field
/// of a column of structs under its names joined by dots.
/// Throws Error(kInput) that lists the columns when there is none.
[[nodiscard]] arrow::FieldPath find_text_column(const arrow::Schema& schema,
                                                const RecordFile& file);

/// Appends the texts of a piece of the column `path[0]`, until file.limit are there. Texts are
/// strings or bytes that are UTF-8, as such, in a dictionary (a category) or as views; of a list
/// the texts that MessageList would join. Throws Error(kInput) naming the row that has no text or
/// is not UTF-8, or the type of the column.
void append_texts(const arrow::Array& column, const arrow::FieldPath& path, const RecordFile& file,
                  std::vector<std::string>& texts);

}  // namespace sgpt_mi::documents

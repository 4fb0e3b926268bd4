#pragma once

#include <arrow/api.h>

#include <string>
#include <utility>
#include <vector>

#include "readers.h"

namespace sgpt_mi::documents {

/// Throws Error(kInput) that says what Arrow says; `format` is "parquet" or "Arrow".
void check_arrow(const arrow::Status& status, const std::string& label, std::string_view format);

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

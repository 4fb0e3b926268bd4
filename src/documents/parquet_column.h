#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace sgpt_mi::documents {

/// The first `limit` values of the string column "text", else "sentence", of a parquet file. Only
/// that column is read, one row group at a time.
/// Throws Error(kInput) naming file and row when the file is damaged, has no such column or a
/// value is null.
[[nodiscard]] std::vector<std::string> read_parquet_text(const std::filesystem::path& path,
                                                         std::size_t limit);

}  // namespace sgpt_mi::documents

#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "json_buffer.h"

namespace sgpt_mi::documents {

/// A file of records, and what is wanted of it.
struct RecordFile {
  std::string label;         ///< its name, for messages
  std::string offset_place;  ///< what offsets in it count in: utf8_text.h, place_of()
  std::string text_key;      ///< member or column with the text; empty: record_text.h, kTextKeys
  std::size_t limit = std::numeric_limits<std::size_t>::max();  ///< records to read
};

/// The texts of JSON records: objects one after another, as a rule one a line, or in arrays; an
/// array may also hold the texts themselves. Memory: one record.
/// Throws Error(kInput) naming file and line, or record of an array, of what is none or has no
/// text.
[[nodiscard]] std::vector<std::string> read_json_records(const ReadBytes& read,
                                                         const RecordFile& file);

/// The texts of a parquet file's rows. Only the column with the texts is read, one row group at a
/// time. Throws Error(kInput) naming file and row when the file is damaged or a text is missing.
[[nodiscard]] std::vector<std::string> read_parquet_text(const std::string& path,
                                                         const RecordFile& file);

/// The same of an Arrow stream or an Arrow file (Feather, version 2), batch by batch.
[[nodiscard]] std::vector<std::string> read_arrow_text(const std::string& path,
                                                       const RecordFile& file);

}  // namespace sgpt_mi::documents

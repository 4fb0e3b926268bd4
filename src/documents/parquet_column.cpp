#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/schema.h>

#include <memory>
#include <utility>

#include "readers.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::documents {
namespace {

void check(const arrow::Status& status, const std::string& label) {
  if (!status.ok()) {
    fail(ErrorKind::kInput, "io: {} cannot be read as parquet: {}; get the file again", label,
         status.message());
  }
}

template <typename T>
T take(arrow::Result<T> result, const std::string& label) {
  check(result.status(), label);
  return std::move(result).ValueUnsafe();
}

int text_column(const parquet::SchemaDescriptor& schema, const std::string& label) {
  for (const char* name : {"text", "sentence"}) {
    const int column = schema.ColumnIndex(name);
    if (column >= 0) return column;
  }
  std::string found;
  for (int i = 0; i < schema.num_columns(); ++i) {
    found += (i == 0 ? "" : ", ") + schema.Column(i)->path()->ToDotString();
  }
  fail(ErrorKind::kInput, "io: {} has no column \"text\" or \"sentence\"; its columns are: {}",
       label, found);
}

/// Appends the strings of one chunk, until `limit` are there.
template <typename StringArray>
void append(const arrow::Array& chunk, std::size_t limit, const std::string& label,
            std::vector<std::string>& texts) {
  const auto& strings = static_cast<const StringArray&>(chunk);
  for (std::int64_t row = 0; row < strings.length() && texts.size() < limit; ++row) {
    if (strings.IsNull(row)) {
      fail(ErrorKind::kInput, "io: {} row {} has no text", label, texts.size() + 1);
    }
    texts.emplace_back(strings.GetView(row));
  }
}

void append_chunk(const arrow::Array& chunk, std::size_t limit, const std::string& label,
                  std::vector<std::string>& texts) {
  switch (chunk.type_id()) {
    case arrow::Type::STRING:
      return append<arrow::StringArray>(chunk, limit, label, texts);
    case arrow::Type::LARGE_STRING:
      return append<arrow::LargeStringArray>(chunk, limit, label, texts);
    default:
      fail(ErrorKind::kInput, "io: {}: the text column holds {}; strings were expected", label,
           chunk.type()->ToString());
  }
}

std::vector<std::string> read_rows(const std::filesystem::path& path, std::size_t limit) {
  const std::string label = path.string();
  auto file = take(arrow::io::ReadableFile::Open(label), label);
  std::unique_ptr<parquet::arrow::FileReader> reader =
      take(parquet::arrow::OpenFile(std::move(file), arrow::default_memory_pool()), label);
  const auto metadata = reader->parquet_reader()->metadata();
  const int column = text_column(*metadata->schema(), label);
  std::vector<std::string> texts;
  for (int group = 0; group < metadata->num_row_groups() && texts.size() < limit; ++group) {
    const std::shared_ptr<arrow::Table> table = take(reader->ReadRowGroup(group, {column}), label);
    for (const std::shared_ptr<arrow::Array>& chunk : table->column(0)->chunks()) {
      append_chunk(*chunk, limit, label, texts);
    }
  }
  return texts;
}

}  // namespace

std::vector<std::string> read_parquet_text(const std::filesystem::path& path, std::size_t limit) {
  try {
    return read_rows(path, limit);
  } catch (const parquet::ParquetException& error) {
    fail(ErrorKind::kInput, "io: {} cannot be read as parquet: {}; get the file again",
         path.string(), error.what());
  }
}

}  // namespace sgpt_mi::documents

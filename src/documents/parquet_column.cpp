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
#include "text_column.h"

namespace sgpt_mi::documents {
namespace {

constexpr std::string_view kParquet = "parquet";

/// The leaves of the schema's tree that make up a column of the table.
std::vector<int> leaves_of(const parquet::SchemaDescriptor& schema, int column) {
  std::vector<int> leaves;
  for (int i = 0; i < schema.num_columns(); ++i) {
    if (schema.group_node()->FieldIndex(*schema.GetColumnRoot(i)) == column) leaves.push_back(i);
  }
  return leaves;
}

std::vector<std::string> read_rows(const std::string& path, const RecordFile& file) {
  auto input = take_arrow(arrow::io::ReadableFile::Open(path), file.label, kParquet);
  arrow::CappedMemoryPool memory =
      memory_for(static_cast<std::size_t>(take_arrow(input->GetSize(), file.label, kParquet)));
  parquet::arrow::FileReaderBuilder builder;
  check_arrow(builder.Open(std::move(input), parquet::ReaderProperties(&memory)), file.label,
              kParquet);
  const std::unique_ptr<parquet::arrow::FileReader> reader =
      take_arrow(builder.memory_pool(&memory)->Build(), file.label, kParquet);
  std::shared_ptr<arrow::Schema> schema;
  check_arrow(reader->GetSchema(&schema), file.label, kParquet);
  const arrow::FieldPath column = find_text_column(*schema, file);
  const auto metadata = reader->parquet_reader()->metadata();
  const std::vector<int> leaves = leaves_of(*metadata->schema(), column[0]);
  std::vector<std::string> texts;
  for (int group = 0; group < metadata->num_row_groups() && texts.size() < file.limit; ++group) {
    const std::shared_ptr<arrow::Table> table =
        take_arrow(reader->ReadRowGroup(group, leaves), file.label, kParquet);
    for (const std::shared_ptr<arrow::Array>& chunk : table->column(0)->chunks()) {
      append_texts(*chunk, column, file, texts);
    }
  }
  return texts;
}

}  // namespace

std::vector<std::string> read_parquet_text(const std::string& path, const RecordFile& file) {
  try {
    return read_rows(path, file);
  } catch (const parquet::ParquetStatusException& error) {
    check_arrow(error.status(), file.label, kParquet);
    throw;
  } catch (const parquet::ParquetException& error) {
    check_arrow(arrow::Status::Invalid(error.what()), file.label, kParquet);
    throw;
  }
}

}  // namespace sgpt_mi::documents

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "readers.h"
#include "sgpt_mi/io/mapped_file.h"
#include "text_column.h"

namespace sgpt_mi::documents {
namespace {

constexpr std::string_view kArrow = "Arrow";

/// The type with the same layout whose elements need not be UTF-8.
std::shared_ptr<arrow::DataType> as_bytes(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
      return arrow::binary();
    case arrow::Type::LARGE_STRING:
      return arrow::large_binary();
    case arrow::Type::STRING_VIEW:
      return arrow::binary_view();
    default:
      return nullptr;
  }
}

/// Appends a column's texts. The file's offsets are believed after they were checked only; bytes
/// that are not UTF-8 are left to append_texts, which says where.
void append_checked(std::shared_ptr<arrow::Array> column, const arrow::FieldPath& path,
                    const RecordFile& file, std::vector<std::string>& texts) {
  if (const auto bytes = as_bytes(*column->type())) {
    column = take_arrow(column->View(bytes), file.label, kArrow);
  }
  check_arrow(column->ValidateFull(), file.label, kArrow);
  append_texts(*column, path, file, texts);
}

std::vector<std::string> read_stream(const std::shared_ptr<arrow::io::RandomAccessFile>& input,
                                     const arrow::ipc::IpcReadOptions& options,
                                     const RecordFile& file) {
  const auto reader =
      take_arrow(arrow::ipc::RecordBatchStreamReader::Open(input, options), file.label, kArrow);
  const arrow::FieldPath column = find_text_column(*reader->schema(), file);
  std::vector<std::string> texts;
  while (texts.size() < file.limit) {
    std::shared_ptr<arrow::RecordBatch> batch;
    check_arrow(reader->ReadNext(&batch), file.label, kArrow);
    if (batch == nullptr) break;
    append_checked(batch->column(column[0]), column, file, texts);
  }
  return texts;
}

std::vector<std::string> read_file(const std::shared_ptr<arrow::io::RandomAccessFile>& input,
                                   const arrow::ipc::IpcReadOptions& options,
                                   const RecordFile& file) {
  const auto reader =
      take_arrow(arrow::ipc::RecordBatchFileReader::Open(input, options), file.label, kArrow);
  const arrow::FieldPath column = find_text_column(*reader->schema(), file);
  std::vector<std::string> texts;
  for (int i = 0; i < reader->num_record_batches() && texts.size() < file.limit; ++i) {
    const auto batch = take_arrow(reader->ReadRecordBatch(i), file.label, kArrow);
    append_checked(batch->column(column[0]), column, file, texts);
  }
  return texts;
}

}  // namespace

std::vector<std::string> read_arrow_text(const std::string& path, const RecordFile& file) {
  const io::MappedFile mapped(path);
  const auto bytes =
      std::make_shared<arrow::Buffer>(reinterpret_cast<const std::uint8_t*>(mapped.bytes().data()),
                                      static_cast<std::int64_t>(mapped.bytes().size()));
  const auto input = std::make_shared<arrow::io::BufferReader>(bytes);
  arrow::CappedMemoryPool memory = memory_for(mapped.bytes().size());
  arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = &memory;
  const auto head = take_arrow(input->ReadAt(0, 6), file.label, kArrow);
  const std::string_view magic(*head);
  return magic == "ARROW1" ? read_file(input, options, file) : read_stream(input, options, file);
}

}  // namespace sgpt_mi::documents

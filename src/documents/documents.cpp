#include "sgpt_mi/documents/documents.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "readers.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::documents {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kJsonEndings{".jsonl", ".json", ".jsonl.gz", ".json.gz"};
constexpr std::string_view kParquetEnding = ".parquet";
constexpr std::string_view kGzipEnding = ".gz";

bool ends_with_any(const std::string& name) {
  return std::any_of(kJsonEndings.begin(), kJsonEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

/// A reader of bytes in memory.
ReadBytes read_from(std::span<const std::byte> bytes) {
  return [bytes](std::span<char> out) mutable {
    const std::size_t count = std::min(out.size(), bytes.size());
    if (count > 0) std::memcpy(out.data(), bytes.data(), count);
    bytes = bytes.subspan(count);
    return count;
  };
}

std::vector<std::string> read_json_file(const fs::path& path, std::size_t limit) {
  const io::MappedFile file(path);
  if (!path.string().ends_with(kGzipEnding)) {
    return read_json_lines(read_from(file.bytes()), path.string(), limit);
  }
  GzipReader gzip(file.bytes(), path.string());
  return read_json_lines([&](std::span<char> out) { return gzip.read(out); }, path.string(), limit);
}

std::string unpack(std::span<const std::byte> packed, const std::string& label) {
  GzipReader gzip(packed, label);
  std::string text;
  std::array<char, 1 << 16> piece;
  while (const std::size_t count = gzip.read(piece)) text.append(piece.data(), count);
  return text;
}

}  // namespace

std::string read_text_file(const fs::path& path) {
  const io::MappedFile file(path);
  const std::string label = path.string();
  if (label.ends_with(kGzipEnding)) return unpack(file.bytes(), label);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool is_document_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return ends_with_any(name) || name.ends_with(kParquetEnding);
}

std::vector<std::string> read_documents(const fs::path& path, std::size_t limit) {
  const std::string name = path.filename().string();
  if (name.ends_with(kParquetEnding)) return read_parquet_text(path, limit);
  if (ends_with_any(name)) return read_json_file(path, limit);
  fail(ErrorKind::kInput,
       "io: {} is not a document file; .jsonl, .json, .jsonl.gz, .json.gz or .parquet expected",
       path.string());
}

}  // namespace sgpt_mi::documents

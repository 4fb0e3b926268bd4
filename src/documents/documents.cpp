#include "sgpt_mi/documents/documents.h"

#include "readers.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/streams/packing.h"
#include "text_file.h"
#include "utf8_text.h"

namespace sgpt_mi::documents {

namespace fs = std::filesystem;

std::string read_text_file(const fs::path& path) {
  const io::MappedFile file(path);
  const streams::Packing packing =
      streams::open_packing(file.bytes(), path.filename().string(), path.string());
  if (!packing.name.empty()) return streams::read_all(*packing.stream);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void require_utf8(const std::string& text, const std::string& label) {
  check_utf8(text, printable(label), "");
}

std::string read_text(const fs::path& path) {
  TextFile file(path);
  return to_text(file.read_rest(), file.label(), file.packing());
}

bool is_document_file(const fs::path& path) { return has_record_name(path); }

bool holds_documents(const fs::path& path) { return TextFile(path).content() != Content::kText; }

std::vector<std::string> read_documents(const fs::path& path, std::size_t limit,
                                        const std::string& text_key) {
  TextFile file(path);
  const RecordFile wanted{file.label(), place_of(file.packing()), text_key, limit};
  switch (file.content()) {
    case Content::kJson:
      return read_json_records([&](std::span<char> out) { return file.read(out); }, wanted);
    case Content::kParquet:
      return read_parquet_text(path.string(), wanted);
    case Content::kArrow:
      return read_arrow_text(path.string(), wanted);
    case Content::kText:
      break;
  }
  fail(ErrorKind::kInput,
       "io: {} is a text; expected a file of records: JSON lines, a JSON array, parquet or Arrow",
       file.label());
}

}  // namespace sgpt_mi::documents

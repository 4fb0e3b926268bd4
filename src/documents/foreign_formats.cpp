#include "foreign_formats.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::documents {
namespace {

using namespace std::string_view_literals;

struct Foreign {
  std::string_view magic;
  std::size_t offset;
  std::string_view what;
  std::string_view remedy;
};

constexpr std::string_view kUnpack = "unpack it and give the file inside";
constexpr std::string_view kRepack = "unpack it, or pack it as .zst, .xz or .gz";
constexpr std::string_view kConvert = "save its text as UTF-8, or as JSON lines";
constexpr std::string_view kTable = "convert it to parquet or JSON lines";
constexpr std::string_view kEncoding = "convert it, such as with iconv -f UTF-16 -t UTF-8";

constexpr std::array<Foreign, 16> kForeign{{
    {"\xFF\xFE\0\0"sv, 0, "UTF-32 text", "convert it, such as with iconv -f UTF-32 -t UTF-8"},
    {"\0\0\xFE\xFF"sv, 0, "UTF-32 text", "convert it, such as with iconv -f UTF-32 -t UTF-8"},
    {"\xFF\xFE"sv, 0, "UTF-16 text", kEncoding},
    {"\xFE\xFF"sv, 0, "UTF-16 text", kEncoding},
    {"1AY&SY"sv, 4, "bzip2 data", kRepack},
    {"\x04\x22\x4D\x18"sv, 0, "lz4 data", kRepack},
    {"PK\x03\x04"sv, 0, "a zip archive", kUnpack},
    {"7z\xBC\xAF\x27\x1C"sv, 0, "a 7z archive", kUnpack},
    {"Rar!\x1A\x07"sv, 0, "a rar archive", kUnpack},
    {"ustar"sv, 257, "a tar archive", kUnpack},
    {"%PDF-"sv, 0, "a PDF document", kConvert},
    {"Obj\x01"sv, 0, "an Avro file", kTable},
    {"FEA1"sv, 0, "a Feather file of version 1", kTable},
    {"SQLite format 3\0"sv, 0, "an SQLite database", kTable},
    {"\x89HDF\r\n\x1A\n"sv, 0, "an HDF5 file", kTable},
    {"\x93NUMPY"sv, 0, "a NumPy array",
     "save token windows as 'input_ids' (windows, tokens) of a .safetensors file"},
}};

/// Half of the bytes of Latin text in UTF-16 are zero; a text has none.
bool has_many_zeros(std::string_view head) {
  constexpr std::size_t kLooked = 4096;
  constexpr std::size_t kShare = 8;
  const std::string_view part = head.substr(0, kLooked);
  const auto zeros = static_cast<std::size_t>(std::count(part.begin(), part.end(), '\0'));
  return zeros * kShare > part.size();
}

}  // namespace

void refuse_content(const std::string& label, std::string_view packing, std::string_view what,
                    std::string_view remedy) {
  fail(ErrorKind::kInput,
       "io: {} holds {}{}{}; expected UTF-8 text, JSON lines, a JSON array, parquet or Arrow; {}",
       label, what, packing.empty() ? "" : " packed by ", packing, remedy);
}

void refuse_foreign_content(std::string_view head, std::string_view packing,
                            const std::string& label) {
  for (const Foreign& foreign : kForeign) {
    const std::size_t offset = std::min(foreign.offset, head.size());
    if (!head.substr(offset).starts_with(foreign.magic)) continue;
    refuse_content(label, packing, foreign.what, foreign.remedy);
  }
  if (has_many_zeros(head)) {
    refuse_content(label, packing, "zero bytes, as UTF-16 without its mark or binary data do",
                   kEncoding);
  }
}

void refuse_foreign_name(std::string_view name, const std::string& label) {
  for (const std::string_view ending : {".csv", ".tsv", ".orc"}) {
    if (!name.ends_with(ending)) continue;
    refuse_content(label, "", fmt::format("a table by its name ({})", ending),
                   "convert it, such as with pandas: read_csv(file).to_parquet(name); a text that "
                   "is no table goes under another name");
  }
}

}  // namespace sgpt_mi::documents

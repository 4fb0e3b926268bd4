#include "zip_archive.h"

#include <cstdint>
#include <cstring>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::containers {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kEntrySignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;

// Sizes of the fixed parts of the structures.
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kEntryBytes = 46;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocator64Bytes = 20;

/// A 32-bit field with this value has its real value in the zip64 extra field.
constexpr std::uint64_t kIn64 = std::numeric_limits<std::uint32_t>::max();

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t entries = 0;
};

struct Entry {
  std::string name;
  std::uint64_t packed_bytes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t header = 0;  // offset of the local header
  std::uint64_t next = 0;    // offset of the next entry
};

class ZipReader {
 public:
  ZipReader(Bytes file, const std::string& label) : file_(file), label_(label) {}

  [[nodiscard]] Directory directory() const;
  [[nodiscard]] Entry entry(std::uint64_t at) const;
  [[nodiscard]] Bytes data(const Entry& entry) const;

 private:
  /// The little-endian number at a byte offset.
  template <typename T>
  [[nodiscard]] T number(std::uint64_t at) const {
    T value{};
    std::memcpy(&value, part(at, sizeof(T)).data(), sizeof(T));
    return value;
  }

  [[nodiscard]] Bytes part(std::uint64_t at, std::uint64_t bytes) const {
    if (at > file_.size() || bytes > file_.size() - at) {
      refuse(fmt::format("{} bytes at {} pass its end at {}", bytes, at, file_.size()));
    }
    return file_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(bytes));
  }

  [[noreturn]] void refuse(const std::string& found) const {
    fail(ErrorKind::kInput, "io: {} is a cut or damaged zip archive: {}; get the file again",
         label_, found);
  }

  void apply_zip64(Entry& entry, std::uint64_t extra, std::uint64_t extra_bytes) const;

  Bytes file_;
  const std::string& label_;
};

/// Finds the directory from the record at the archive's end, which a comment may follow.
Directory ZipReader::directory() const {
  constexpr std::uint64_t kMaxComment = std::numeric_limits<std::uint16_t>::max();
  const std::uint64_t size = file_.size();
  const std::uint64_t lowest = size > kEndBytes + kMaxComment ? size - kEndBytes - kMaxComment : 0;
  for (std::uint64_t at = size >= kEndBytes ? size - kEndBytes + 1 : 0; at-- > lowest;) {
    if (number<std::uint32_t>(at) != kEndSignature) continue;
    if (at >= kLocator64Bytes &&
        number<std::uint32_t>(at - kLocator64Bytes) == kLocator64Signature) {
      const auto end64 = number<std::uint64_t>(at - kLocator64Bytes + 8);
      if (part(end64, kEnd64Bytes).empty() || number<std::uint32_t>(end64) != kEnd64Signature) {
        refuse("its zip64 end record is not where it should be");
      }
      return {number<std::uint64_t>(end64 + 48), number<std::uint64_t>(end64 + 32)};
    }
    return {number<std::uint32_t>(at + 16), number<std::uint16_t>(at + 10)};
  }
  refuse("its directory is missing");
}

/// Replaces the fields that did not fit into 32 bits by those of the zip64 extra field.
void ZipReader::apply_zip64(Entry& entry, std::uint64_t extra, std::uint64_t extra_bytes) const {
  constexpr std::uint16_t kZip64Id = 1;
  const std::uint64_t end = extra + extra_bytes;
  for (std::uint64_t at = extra; at + 4 <= end;) {
    const auto id = number<std::uint16_t>(at);
    std::uint64_t value_at = at + 4;
    at = value_at + number<std::uint16_t>(at + 2);
    if (id != kZip64Id) continue;
    for (std::uint64_t* field : {&entry.bytes, &entry.packed_bytes, &entry.header}) {
      if (*field != kIn64) continue;
      if (value_at + 8 > at || at > end) refuse("a zip64 field is too short");
      *field = number<std::uint64_t>(value_at);
      value_at += 8;
    }
  }
}

Entry ZipReader::entry(std::uint64_t at) const {
  if (part(at, kEntryBytes).empty() || number<std::uint32_t>(at) != kEntrySignature) {
    refuse(fmt::format("no directory entry at {}", at));
  }
  const std::uint64_t name_bytes = number<std::uint16_t>(at + 28);
  const std::uint64_t extra_bytes = number<std::uint16_t>(at + 30);
  const Bytes name = part(at + kEntryBytes, name_bytes);
  Entry entry;
  entry.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  entry.packed_bytes = number<std::uint32_t>(at + 20);
  entry.bytes = number<std::uint32_t>(at + 24);
  entry.header = number<std::uint32_t>(at + 42);
  apply_zip64(entry, at + kEntryBytes + name_bytes, extra_bytes);
  entry.next = at + kEntryBytes + name_bytes + extra_bytes + number<std::uint16_t>(at + 32);
  const bool encrypted = (number<std::uint16_t>(at + 8) & 1U) != 0;
  const bool stored = number<std::uint16_t>(at + 10) == 0 && entry.packed_bytes == entry.bytes;
  if (encrypted || !stored) {
    fail(ErrorKind::kInput,
         "io: {}: record '{}' is compressed or encrypted, which torch.save never does; save the "
         "file again with torch.save",
         label_, printable(entry.name));
  }
  return entry;
}

Bytes ZipReader::data(const Entry& entry) const {
  if (part(entry.header, kLocalBytes).empty() ||
      number<std::uint32_t>(entry.header) != kLocalSignature) {
    refuse(fmt::format("record '{}' is not at {}", printable(entry.name), entry.header));
  }
  const std::uint64_t skipped = kLocalBytes + number<std::uint16_t>(entry.header + 26) +
                                std::uint64_t{number<std::uint16_t>(entry.header + 28)};
  return part(entry.header + skipped, entry.bytes);
}

}  // namespace

std::map<std::string, Bytes> read_stored_zip(Bytes file, const std::string& label) {
  const ZipReader zip(file, label);
  const Directory directory = zip.directory();
  std::map<std::string, Bytes> records;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = zip.entry(at);
    if (!records.emplace(entry.name, zip.data(entry)).second) {
      fail(ErrorKind::kInput, "io: {}: the record '{}' occurs twice", label, printable(entry.name));
    }
    at = entry.next;
  }
  return records;
}

}  // namespace sgpt_mi::containers

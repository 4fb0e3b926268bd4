#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::journal {

/// A file of JSON records, one a line, each with a checksum: "SHA256/16 JSON\n", the checksum being
/// the first 16 hex digits of the JSON text's SHA-256.
///
/// A record is on the disk when append() returns. What a killed process left is read up to the
/// first line that is cut or damaged; the rest is dropped.
class RecordFile {
 public:
  /// Throws Error(kInput) naming the file when it is there and cannot be read or written.
  explicit RecordFile(std::filesystem::path path);

  [[nodiscard]] const std::vector<nlohmann::json>& records() const { return records_; }

  /// Throws Error(kInput) when the disk is full.
  void append(nlohmann::json record);

 private:
  std::filesystem::path path_;
  std::vector<nlohmann::json> records_;
  std::uint64_t end_ = 0;  // of the last good line
  io::FileDescriptor file_;
};

}  // namespace sgpt_mi::journal

#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::documents {

/// The first `limit` values of the string column "text", else "sentence", of a parquet file. Only
/// that column is read, one row group at a time.
/// Throws Error(kInput) naming file and row when the file is damaged, has no such column or a
/// value is null.
[[nodiscard]] std::vector<std::string> read_parquet_text(const std::filesystem::path& path,
                                                         std::size_t limit);

/// Fills a buffer with the next bytes of a text and returns how many; 0 at the end.
using ReadBytes = std::function<std::size_t(std::span<char> out)>;

/// The "text" members of the first `limit` lines, one JSON object a line; blank lines are skipped.
/// `label` is the file's name, for messages.
/// Throws Error(kInput) naming file and line when a line is not a JSON object with a "text".
[[nodiscard]] std::vector<std::string> read_json_lines(const ReadBytes& read,
                                                       const std::string& label, std::size_t limit);

/// Unpacks gzip data piece by piece (RFC 1952; several members one after another count as one
/// stream, zero bytes after the last are padding).
class GzipReader {
 public:
  /// `packed` must outlive the reader; `label` is the file's name, for messages.
  GzipReader(std::span<const std::byte> packed, std::string label);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Fills `out` as far as data remain and returns the bytes written; 0 at the end.
  /// Throws Error(kInput) naming file and offset when the data is cut, corrupt or not gzip.
  [[nodiscard]] std::size_t read(std::span<char> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgpt_mi::documents

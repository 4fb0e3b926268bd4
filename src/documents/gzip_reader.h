#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace sgpt_mi::documents {

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

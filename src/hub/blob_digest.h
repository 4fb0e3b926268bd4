#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sgpt_mi::hub {

/// The hash that an etag of the Hub is: SHA-256 of a large file (64 digits), git's SHA-1 of
/// "blob SIZE\0" and the file (40 digits), or none that can be checked.
class BlobDigest {
 public:
  /// \param size  bytes of the file; negative: not known, then git's hash cannot be checked.
  BlobDigest(std::string etag, std::int64_t size);
  ~BlobDigest();
  BlobDigest(BlobDigest&&) noexcept;
  BlobDigest& operator=(BlobDigest&&) noexcept;

  void update(std::span<const std::byte> bytes);

  /// Whether the bytes are those that the etag names; true when it names none. Spent afterwards.
  [[nodiscard]] bool matches();

 private:
  struct State;
  std::string etag_;
  std::unique_ptr<State> state_;  ///< none: nothing to check
};

}  // namespace sgpt_mi::hub

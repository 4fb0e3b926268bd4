#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace sgpt_mi::streams {

/// The bytes of a text, one piece after another.
class ByteStream {
 public:
  ByteStream() = default;
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// Fills `out` as far as data remain and returns the bytes written; fewer than asked for at the
  /// end only, 0 from then on. Throws Error(kInput) naming file and offset when packed data are
  /// cut, damaged or something else.
  [[nodiscard]] virtual std::size_t read(std::span<char> out) = 0;
};

/// `text` and all that is left in a stream.
[[nodiscard]] std::string read_all(ByteStream& stream, std::string text = {});

/// Bytes in memory, which must outlive the stream, as they are.
[[nodiscard]] std::unique_ptr<ByteStream> read_plain(std::span<const std::byte> bytes);

// Readers of packed data. `packed` must outlive them; `label` is the file's name, for messages.

/// Gzip (RFC 1952): several members one after another count as one stream, zero bytes after the
/// last are padding.
[[nodiscard]] std::unique_ptr<ByteStream> unpack_gzip(std::span<const std::byte> packed,
                                                      std::string label);

/// Windows up to 2^31 bytes, which `zstd --long=31` writes, as large text collections are packed.
constexpr int kLargestZstdWindow = 31;

/// Zstandard (RFC 8878): several frames one after another count as one stream, skippable ones are
/// skipped. Memory: the window that a frame asks for, at most 2^`largest_window` bytes.
[[nodiscard]] std::unique_ptr<ByteStream> unpack_zstd(std::span<const std::byte> packed,
                                                      std::string label,
                                                      int largest_window = kLargestZstdWindow);

/// More than the dictionary of `xz -9`, 64 MiB, needs.
constexpr std::size_t kMostXzMemory = std::size_t{1} << 30;

/// xz, several streams one after another as one; also the .lzma files from before it.
[[nodiscard]] std::unique_ptr<ByteStream> unpack_xz(std::span<const std::byte> packed,
                                                    std::string label,
                                                    std::size_t most_memory = kMostXzMemory);

}  // namespace sgpt_mi::streams

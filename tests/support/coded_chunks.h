#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "entropy/level_model.h"

namespace sgpt_mi::test {

/// Writes into the tables of a coded matrix the checksums that its chunks, changed by a test,
/// should have; chunks that are not whole keep theirs.
inline void reseal_chunks(std::int64_t rows, std::int64_t columns, std::vector<std::byte>& tables,
                          const std::vector<std::byte>& streams) {
  const auto byte_at = [&](std::size_t at) { return std::to_integer<std::size_t>(tables[at]); };
  const auto chunks = static_cast<std::size_t>(entropy::chunks_of(rows, columns).chunks());
  std::size_t begin = 0;
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    const std::size_t entry = entropy::kHeaderBytes + chunk * entropy::kChunkBytes;
    if (tables.size() < entry + entropy::kChunkBytes) return;
    std::size_t bytes = 0;
    for (std::size_t at = entry + 4; at < entry + entropy::kChunkBytes; at += 2) {
      bytes += 4 + 2 * (byte_at(at) + 256 * byte_at(at + 1));
    }
    if (streams.size() - begin < bytes) return;
    const uLong crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(streams.data()) + begin, bytes);
    begin += bytes;
    for (std::size_t i = 0; i < 4; ++i) {
      tables[entry + i] = static_cast<std::byte>(crc >> 8 * i & 0xffU);
    }
  }
}

}  // namespace sgpt_mi::test

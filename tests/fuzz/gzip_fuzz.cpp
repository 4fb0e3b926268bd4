#include <array>

#include "documents/readers.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> packed) {
    sgpt_mi::documents::GzipReader gzip(packed, "fuzz");
    std::array<char, 4096> piece;
    while (gzip.read(piece) > 0) {
    }
  });
}

#include <array>

#include "fuzz_target.h"
#include "io/gzip_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::io::fuzz_reader(data, size, [](std::span<const std::byte> packed) {
    sgpt_mi::io::GzipReader gzip(packed, "fuzz");
    std::array<char, 4096> piece;
    while (gzip.read(piece) > 0) {
    }
  });
}

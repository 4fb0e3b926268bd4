#include <array>

#include "fuzz_target.h"
#include "sgpt_mi/streams/byte_stream.h"

namespace {

void read_to_the_end(std::unique_ptr<sgpt_mi::streams::ByteStream> stream) {
  std::array<char, 4096> piece;
  while (stream->read(piece) > 0) {
  }
}

}  // namespace

/// The first byte chooses the packer. Windows and dictionaries stay below the target's memory.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  return sgpt_mi::fuzz::fuzz_reader(data + 1, size - 1, [&](std::span<const std::byte> packed) {
    using namespace sgpt_mi::streams;
    switch (data[0]) {
      case 'g':
        return read_to_the_end(unpack_gzip(packed, "fuzz"));
      case 'z':
        return read_to_the_end(unpack_zstd(packed, "fuzz", 24));
      default:
        return read_to_the_end(unpack_xz(packed, "fuzz", std::size_t{1} << 24));
    }
  });
}

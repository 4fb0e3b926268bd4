#include <algorithm>
#include <cstring>
#include <limits>

#include "documents/readers.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    // Small pieces, so that lines cross their borders.
    const auto read = [&](std::span<char> out) {
      const std::size_t count = std::min<std::size_t>({out.size(), file.size(), 7});
      if (count > 0) std::memcpy(out.data(), file.data(), count);
      file = file.subspan(count);
      return count;
    };
    (void)sgpt_mi::documents::read_json_lines(read, "fuzz",
                                              std::numeric_limits<std::size_t>::max());
  });
}

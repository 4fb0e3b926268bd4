#include <algorithm>
#include <cstring>

#include "documents/json_shape.h"
#include "documents/readers.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    using namespace sgpt_mi::documents;
    (void)looks_like_records({reinterpret_cast<const char*>(file.data()), file.size()});
    // Small pieces, so that records cross their borders.
    const auto read = [&](std::span<char> out) {
      const std::size_t count = std::min<std::size_t>({out.size(), file.size(), 7});
      if (count > 0) std::memcpy(out.data(), file.data(), count);
      file = file.subspan(count);
      return count;
    };
    RecordFile wanted;
    wanted.label = "fuzz";
    (void)read_json_records(read, wanted);
  });
}

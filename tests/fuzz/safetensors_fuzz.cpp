#include "containers/safetensors_header.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const sgpt_mi::containers::SafetensorsLayout layout =
        sgpt_mi::containers::parse_safetensors(file, "fuzz");
    for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
      // subspan's precondition, which open_safetensors relies on.
      if (layout.offsets[i] > file.size() ||
          layout.tensors[i].bytes() > file.size() - layout.offsets[i]) {
        std::abort();
      }
    }
  });
}

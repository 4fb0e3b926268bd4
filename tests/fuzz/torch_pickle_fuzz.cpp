#include "containers/torch_pickle.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    for (const auto& tensor : sgpt_mi::containers::parse_torch_pickle(file, "fuzz")) {
      (void)tensor.to_contiguous();
    }
  });
}

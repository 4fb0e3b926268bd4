#include "fuzz_target.h"
#include "io/gguf_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::io::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const sgpt_mi::io::GgufFile parsed = sgpt_mi::io::parse_gguf(file, "fuzz");
    const sgpt_mi::io::GgufModel model = sgpt_mi::io::translate_gguf(parsed);
    for (const sgpt_mi::io::GgufWeight& weight : model.weights) {
      (void)sgpt_mi::io::unpack_weight(weight);
    }
  });
}

#include "fuzz_target.h"
#include "gguf/gguf_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const sgpt_mi::gguf::GgufFile parsed = sgpt_mi::gguf::parse_gguf(file, "fuzz");
    const sgpt_mi::gguf::GgufModel model = sgpt_mi::gguf::translate_gguf(parsed);
    for (const sgpt_mi::gguf::GgufWeight& weight : model.weights) {
      (void)sgpt_mi::gguf::unpack_weight(weight);
    }
  });
}

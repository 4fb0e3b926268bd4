#include "fuzz_target.h"
#include "gguf/gguf_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::io::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const gguf::GgufFile parsed = gguf::parse_gguf(file, "fuzz");
    const gguf::GgufModel model = gguf::translate_gguf(parsed);
    for (const gguf::GgufWeight& weight : model.weights) {
      (void)gguf::unpack_weight(weight);
    }
  });
}

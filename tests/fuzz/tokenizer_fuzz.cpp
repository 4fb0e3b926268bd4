#include "fuzz_target.h"
#include "input_folder.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

// The files of a tokenizer, and a text for what they make.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sgpt_mi::fuzz::InputFolder folder("tokenizer");
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> input) {
    folder.clear();
    folder.unpack(input, sgpt_mi::fuzz::kTokenizerFiles);
    const auto tokenizer = sgpt_mi::tokenizer::load_tokenizer(folder.path());
    for (const std::int32_t id : tokenizer->encode("abc abb</s> \xE2\x96\x81 12\n\xC3\xA9")) {
      if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
    }
  });
}

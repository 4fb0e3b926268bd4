#include "fuzz_target.h"
#include "input_folder.h"
#include "sgpt_mi/formats/checkpoint.h"

// A model folder: config.json and weights, packed, of GPTQ, of compressed-tensors, in shards.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sgpt_mi::fuzz::InputFolder folder("checkpoint");
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> input) {
    folder.clear();
    folder.unpack(input, sgpt_mi::fuzz::kCheckpointFiles);
    const auto checkpoint = sgpt_mi::formats::open_checkpoint({folder.path(), false});
    for (const auto& info : checkpoint.tensors->tensors()) {
      if (checkpoint.tensors->read(info.name).bytes.size() != info.bytes()) std::abort();
    }
  });
}

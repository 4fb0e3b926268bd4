#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz_target.h"
#include "gguf/gguf_model.h"
#include "sgpt_mi/io/mapped_file.h"

// What is read can be written, and reads the same again.
namespace {

using namespace sgpt_mi::gguf;

std::vector<sgpt_mi::containers::TensorInfo> infos_of(const GgufModel& model) {
  std::vector<sgpt_mi::containers::TensorInfo> infos;
  for (const GgufWeight& weight : model.weights) infos.push_back(weight.info);
  return infos;
}

void write(const std::filesystem::path& target, const GgufDescription& description,
           const GgufModel& model) {
  ModelWriter writer(target, description);
  for (const GgufSlot& slot : description.slots) {
    const auto weight = std::find_if(model.weights.begin(), model.weights.end(),
                                     [&](const auto& one) { return one.info.name == slot.source; });
    if (weight->paired_heads > 0) {
      writer.put(slot.source, *weight->type, unpaired_rows(*weight));
    } else {
      writer.put(slot.source, *weight->type, weight->bytes);
    }
  }
  (void)writer.finish();
}

bool same_weights(const GgufModel& model, const GgufModel& other) {
  return std::equal(model.weights.begin(), model.weights.end(), other.weights.begin(),
                    other.weights.end(), [](const GgufWeight& one, const GgufWeight& two) {
                      return one.info.name == two.info.name && one.type == two.type &&
                             std::ranges::equal(one.bytes, two.bytes);
                    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path target =
      std::filesystem::temp_directory_path() /
      ("gguf_copy_fuzz." + std::to_string(getpid()) + ".gguf");
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const GgufFile parsed = parse_gguf(file, "fuzz");
    const GgufModel model = translate_gguf(parsed);
    for (const GgufWeight& weight : model.weights) {
      if (sgpt_mi::blocks::find_block_type(weight.type->name) == nullptr) return;  // only read
    }
    write(target, describe_copy(parsed, model.config, infos_of(model)), model);
    const sgpt_mi::io::MappedFile written(target);
    const GgufFile again = parse_gguf(written.bytes(), "copy");
    const GgufModel copy = translate_gguf(again);
    if (copy.config != model.config || !same_weights(model, copy)) std::abort();
    std::filesystem::remove(target);
  });
}

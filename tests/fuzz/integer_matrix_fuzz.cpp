#include <utility>
#include <vector>

#include "containers/safetensors_header.h"
#include "fuzz_target.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"

namespace {

using sgpt_mi::containers::TensorData;
using sgpt_mi::containers::TensorInfo;

/// The tensors of a safetensors file in memory.
class Tensors : public sgpt_mi::containers::IndexedSource {
 public:
  Tensors(std::span<const std::byte> file, sgpt_mi::containers::SafetensorsLayout layout)
      : IndexedSource("fuzz", layout.tensors), file_(file), offsets_(std::move(layout.offsets)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
    const std::size_t at = position(name);
    const TensorInfo& info = tensors()[at];
    return {info, file_.subspan(offsets_[at], info.bytes()), nullptr};
  }

 private:
  std::span<const std::byte> file_;
  std::vector<std::size_t> offsets_;
};

template <typename Reader>
void read_all(const Reader& reader, const Tensors& tensors) {
  for (const std::string& name : Reader::names(tensors)) {
    const auto layout = reader.describe(tensors, name, "fuzz");
    const auto matrix = reader.read(tensors, layout, "fuzz");
    if (sgpt_mi::integer_layouts::decode(matrix).size() != layout.info().dense.bytes()) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgpt_mi::integer_layouts;
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    const Tensors tensors(file, sgpt_mi::containers::parse_safetensors(file, "fuzz"));
    const nlohmann::json rules{{"bits", 4}, {"group_size", 8}, {"dynamic", {{"-:x", {}}}}};
    read_all(GptqReader(rules, "fuzz"), tensors);
    const nlohmann::json groups =
        compressed_tensors_config({{"a", 2, 0, true}, {"b", 4, 0, true}, {"c", 8, 0, true}}, {});
    read_all(CompressedTensorsReader(groups, "fuzz"), tensors);
  });
}

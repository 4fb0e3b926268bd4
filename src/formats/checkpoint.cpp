#include "sgpt_mi/formats/checkpoint.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "model_folder.h"
#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/containers/sharded.h"
#include "sgpt_mi/containers/torch_pickle.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/integer_checkpoint.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/gguf/gguf.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/json_file.h"

namespace sgpt_mi::formats {
namespace {

namespace fs = std::filesystem;

/// A way to store the weights of a folder.
struct Layout {
  std::string_view file;
  containers::OpenShard open;
  bool is_index;
};

constexpr std::array<Layout, 4> kLayouts{{
    {kWeightFiles[0], containers::open_safetensors, false},
    {kWeightFiles[1], containers::open_safetensors, true},
    {kWeightFiles[2], containers::open_torch_pickle, false},
    {kWeightFiles[3], containers::open_torch_pickle, true},
}};

const Layout& layout_of(std::string_view file) {
  return *std::find_if(kLayouts.begin(), kLayouts.end(),
                       [&](const Layout& layout) { return layout.file == file; });
}

std::unique_ptr<containers::TensorSource> open_weights(const fs::path& folder) {
  const Layout& layout = layout_of(require_weight_file(folder));
  const fs::path path = folder / layout.file;
  return layout.is_index ? containers::open_sharded(path, layout.open) : layout.open(path);
}

/// AutoGPTQ keeps in a file of its own what config.json has as quantization_config.
void take_quantize_config(const std::filesystem::path& folder, Checkpoint& checkpoint) {
  const std::filesystem::path file = folder / "quantize_config.json";
  std::error_code not_there;
  if (checkpoint.config.contains("quantization_config")) return;
  if (!std::filesystem::is_regular_file(file, not_there)) return;
  const auto& tensors = checkpoint.tensors->tensors();
  const bool coded = std::any_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.name.ends_with(".qweight");
  });
  if (!coded) return;
  nlohmann::json quantization = io::read_json_object(file);
  quantization.emplace("quant_method", "gptq");
  checkpoint.config["quantization_config"] = std::move(quantization);
  checkpoint.notes.push_back(
      "config.json does not say how the matrices are quantized; read as quantize_config.json says");
}

}  // namespace

std::vector<fs::path> weight_files(const ModelLocation& location) {
  if (location.is_gguf) return gguf::shard_paths(location.path);
  const Layout& layout = layout_of(require_weight_file(location.path));
  const fs::path path = location.path / layout.file;
  return layout.is_index ? containers::shard_files(path) : std::vector{path};
}

Checkpoint open_checkpoint(const ModelLocation& location, ParallelFor parallel_for) {
  ensure(!location.is_random, "io: a random model has no files to open");
  Checkpoint checkpoint;
  checkpoint.location = location;
  if (location.is_found) {
    checkpoint.notes.push_back(fmt::format(
        "taken: {}, the only model below the folder that was named", location.path.string()));
  }
  if (location.is_gguf) {
    gguf::OpenedGguf opened = gguf::open_gguf(location.path);
    checkpoint.config = std::move(opened.config);
    checkpoint.tensors = std::move(opened.tensors);
    checkpoint.gguf_vocabulary = std::move(opened.vocabulary);
    return checkpoint;
  }
  checkpoint.config = io::read_json_object(location.path / "config.json");
  checkpoint.tensors = open_weights(location.path);
  take_quantize_config(location.path, checkpoint);
  if (is_packed_config(checkpoint.config)) {
    PackedCheckpoint packed = open_packed(std::move(checkpoint.tensors), checkpoint.config,
                                          location.path.string(), std::move(parallel_for));
    checkpoint.tensors = std::move(packed.tensors);
    checkpoint.packed_matrices = std::move(packed.matrices);
    checkpoint.codes = packed.codes;
    checkpoint.config.erase("quantization_config");
  } else if (is_integer_config(checkpoint.config)) {
    IntegerCheckpoint integer =
        open_integer(std::move(checkpoint.tensors), checkpoint.config, location.path.string());
    checkpoint.tensors = std::move(integer.tensors);
    checkpoint.packed_matrices = std::move(integer.matrices);
    checkpoint.codes = integer.codes;
    checkpoint.config.erase("quantization_config");
  }
  return checkpoint;
}

}  // namespace sgpt_mi::formats

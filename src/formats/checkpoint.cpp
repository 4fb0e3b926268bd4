#include "sgpt_mi/io/checkpoint.h"

#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include "json_file.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/gguf.h"
#include "sgpt_mi/io/packed_checkpoint.h"
#include "sgpt_mi/io/safetensors.h"
#include "sgpt_mi/io/torch_pickle.h"
#include "sharded.h"

namespace sgpt_mi::io {
namespace {

namespace fs = std::filesystem;

/// A way to store the weights of a folder.
struct Layout {
  std::string_view file;
  OpenShard open;
  bool is_index;
};

constexpr std::array<Layout, 4> kLayouts{{
    {"model.safetensors", open_safetensors, false},
    {"model.safetensors.index.json", open_safetensors, true},
    {"pytorch_model.bin", open_torch_pickle, false},
    {"pytorch_model.bin.index.json", open_torch_pickle, true},
}};

std::unique_ptr<TensorSource> open_weights(const fs::path& folder) {
  std::string tried;
  for (const Layout& layout : kLayouts) {
    const fs::path path = folder / layout.file;
    std::error_code not_there;
    if (fs::exists(path, not_there)) {
      return layout.is_index ? open_sharded(path, layout.open) : layout.open(path);
    }
    tried += fmt::format("{}{}", tried.empty() ? "" : ", ", layout.file);
  }
  fail(ErrorKind::kInput, "io: {} holds no weights; one of {} was expected", folder.string(),
       tried);
}

}  // namespace

Checkpoint open_checkpoint(const ModelLocation& location, ParallelFor parallel_for) {
  ensure(!location.is_random, "io: a random model has no files to open");
  if (location.is_gguf) return open_gguf(location.path);
  Checkpoint checkpoint;
  checkpoint.location = location;
  checkpoint.config = read_json_object(location.path / "config.json");
  checkpoint.tensors = open_weights(location.path);
  if (is_packed_config(checkpoint.config)) {
    PackedCheckpoint packed = open_packed(std::move(checkpoint.tensors), checkpoint.config,
                                          location.path.string(), std::move(parallel_for));
    checkpoint.tensors = std::move(packed.tensors);
    checkpoint.packed_matrices = std::move(packed.matrices);
    checkpoint.config.erase("quantization_config");
  }
  return checkpoint;
}

}  // namespace sgpt_mi::io

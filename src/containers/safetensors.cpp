#include "sgpt_mi/containers/safetensors.h"

#include <utility>

#include "safetensors_header.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::containers {
std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path) {
  auto file = std::make_shared<const io::MappedFile>(path);
  SafetensorsLayout layout = parse_safetensors(file->bytes(), path.string());
  std::vector<std::span<const std::byte>> bytes;
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    bytes.push_back(file->bytes().subspan(layout.offsets[i], layout.tensors[i].bytes()));
  }
  return std::make_unique<MappedSource>(std::move(file), path.string(), std::move(layout.tensors),
                                        std::move(bytes));
}

}  // namespace sgpt_mi::containers

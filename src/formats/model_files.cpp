#include <algorithm>
#include <filesystem>
#include <span>
#include <vector>

#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::formats {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} << 20;  // between looks at Ctrl-C

}  // namespace

std::vector<std::filesystem::path> weight_files(const ModelLocation& location) {
  if (location.is_gguf) return gguf::shard_paths(location.path);
  std::vector<std::filesystem::path> safetensors;
  std::vector<std::filesystem::path> pickles;
  for (const auto& entry : std::filesystem::directory_iterator(location.path)) {
    if (entry.path().extension() == ".safetensors") safetensors.push_back(entry.path());
    if (entry.path().extension() == ".bin") pickles.push_back(entry.path());
  }
  auto& files = safetensors.empty() ? pickles : safetensors;
  std::sort(files.begin(), files.end());
  return files;
}

std::string weight_files_sha256(const ModelLocation& location) {
  // Random weights follow from their shape's name.
  if (location.is_random) return sha256_hex(location.path.string());
  Sha256 hash;
  for (const std::filesystem::path& path : weight_files(location)) {
    const io::MappedFile file(path);
    const std::span<const std::byte> bytes = file.bytes();
    for (std::size_t begin = 0; begin < bytes.size(); begin += kChunkBytes) {
      check_interrupt();
      hash.update(bytes.subspan(begin, std::min(kChunkBytes, bytes.size() - begin)));
    }
  }
  return hash.hex_digest();
}

}  // namespace sgpt_mi::formats

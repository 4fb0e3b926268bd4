#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "model_folder.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = std::size_t{64} << 20;  // between looks at Ctrl-C

/// Whether one of the files that open_checkpoint() looks for is there.
bool has_weights(const fs::path& folder) {
  std::error_code not_there;
  return std::any_of(kWeightFiles.begin(), kWeightFiles.end(), [&](const std::string_view name) {
    return fs::exists(folder / name, not_there);
  });
}

bool is_gguf_model(const fs::directory_entry& entry) {
  return entry.path().extension() == ".gguf" &&
         !entry.path().filename().string().starts_with("mmproj");
}

/// The first files of the GGUF models in a folder, in name order; those of its folders when it has
/// none itself.
std::set<fs::path> gguf_models(const fs::path& folder) {
  std::set<fs::path> here;
  std::set<fs::path> below;
  std::error_code forbidden;  // what cannot be listed holds nothing for us
  for (const auto& entry : fs::directory_iterator(folder, forbidden)) {
    if (is_gguf_model(entry)) here.insert(gguf::shard_paths(entry.path()).front());
    std::error_code no_folder;
    for (const auto& inner : fs::directory_iterator(entry.path(), no_folder)) {
      if (is_gguf_model(inner)) below.insert(gguf::shard_paths(inner.path()).front());
    }
  }
  return here.empty() ? below : here;
}

/// Throws Error(kInput) naming the base model when a folder holds an adapter alone.
void refuse_adapter(const fs::path& folder) {
  const fs::path adapter = folder / "adapter_config.json";
  std::error_code not_there;
  if (!fs::exists(adapter, not_there)) return;
  const nlohmann::json config = io::read_json_object(adapter);
  const auto base = config.find("base_model_name_or_path");
  const bool named = base != config.end() && base->is_string();
  fail(
      ErrorKind::kInput,
      "io: {} holds an adapter (adapter_config.json) and no model; expected a model; merge it into "
      "its base model{} (merge_and_unload() of PEFT), save that and pass it",
      folder.string(), named ? " " + base->get<std::string>() : "");
}

}  // namespace

ModelLocation locate_in_folder(const fs::path& folder) {
  std::error_code not_there;
  const bool has_config = fs::exists(folder / "config.json", not_there);
  if (has_config && has_weights(folder)) return {folder, false};
  const std::set<fs::path> models = gguf_models(folder);
  if (models.size() == 1) return {*models.begin(), true};
  if (models.size() > 1) {
    std::vector<std::string> names;
    names.reserve(models.size());
    for (const fs::path& model : models) {
      names.push_back(fs::relative(model, folder, not_there).string());
    }
    fail(ErrorKind::kInput, "io: {} holds several GGUF models: {}; pass the path of one of them",
         folder.string(), fmt::join(names, ", "));
  }
  if (!has_config) refuse_adapter(folder);
  return {folder, false};
}

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

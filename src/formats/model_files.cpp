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
#include "sgpt_mi/core/lower_case.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = std::size_t{64} << 20;  // between looks at Ctrl-C

bool is_gguf_model(const fs::directory_entry& entry) {
  const std::string name = lower_case(entry.path().filename().string());
  return name.ends_with(".gguf") && !name.starts_with("mmproj");
}

/// The first files of the GGUF models in a folder. A file of importances beside a model is none;
/// models that were made with one may be called so, too.
std::set<fs::path> gguf_models(const fs::path& folder) {
  std::set<fs::path> models;
  std::error_code unreadable;  // what cannot be listed, or is no folder, holds nothing for us
  for (const auto& entry : fs::directory_iterator(folder, unreadable)) {
    if (is_gguf_model(entry)) models.insert(gguf::shard_paths(entry.path()).front());
  }
  const auto is_importances = [](const fs::path& path) {
    return lower_case(path.filename().string()).find("imatrix") != std::string::npos;
  };
  if (!std::all_of(models.begin(), models.end(), is_importances)) {
    std::erase_if(models, is_importances);
  }
  return models;
}

/// Those of the folders in a folder; none where one of them is a model in Hugging Face's layout:
/// then nobody knows which is meant.
std::set<fs::path> gguf_models_below(const fs::path& folder) {
  std::set<fs::path> below;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::set<fs::path> models = gguf_models(entry.path());
    const bool described = fs::exists(entry.path() / "config.json", error);
    if (described && (models.empty() || find_weight_file(entry.path()))) return {};
    below.insert(models.begin(), models.end());
  }
  return below;
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
  if (has_config && find_weight_file(folder)) return {folder, false};
  std::set<fs::path> models = gguf_models(folder);
  const bool is_below = models.empty();
  if (is_below) models = gguf_models_below(folder);
  if (models.size() == 1) return {*models.begin(), true, false, is_below};
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

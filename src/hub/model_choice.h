#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::hub {

/// The files of a repository that a model needs.
struct Choice {
  std::vector<std::string> files;
  std::string index;  ///< one of `files` that names more: shards_of()
  std::string gguf;   ///< one of `files`, the first of the model; empty: the model is the folder
};

/// Chooses from the names of a repository's files: config, tokenizer and the first kind of weights
/// of model.safetensors, its index, pytorch_model.bin and its index; or the GGUF model that `name`
/// means. Throws Error(kInput) listing what is there when nothing fits or several do.
[[nodiscard]] Choice choose_files(const ModelName& name, const std::vector<std::string>& names,
                                  Part part);

/// The files that an index names. Throws Error(kInput) for a name that leaves the folder.
[[nodiscard]] std::vector<std::string> shards_of(const std::filesystem::path& index);

/// What is there of a model in a snapshot.
struct LocalModel {
  std::filesystem::path path;  ///< the folder or the first GGUF file
  std::string lacks;           ///< what the tokenizer may be wrong without; empty: nothing
  bool is_guess = false;       ///< the only GGUF model here, not named: the Hub may hold others
};

/// The model in a snapshot, when all its files (of `part`) are there.
[[nodiscard]] std::optional<LocalModel> complete_model(const std::filesystem::path& snapshot,
                                                       const ModelName& name, Part part);

}  // namespace sgpt_mi::hub

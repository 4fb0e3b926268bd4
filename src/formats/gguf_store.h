#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "sgpt_mi/formats/format.h"

namespace sgpt_mi::formats {

/// Writes a GGUF file for llama.cpp: Format::open. The target is the file.
[[nodiscard]] std::unique_ptr<SavingStore> open_gguf_store(const std::filesystem::path& target,
                                                           const Checkpoint& checkpoint,
                                                           const SavedTypes& types);

/// Throws when no GGUF file can say the model: Format::check.
void check_gguf_model(const Checkpoint& checkpoint);

}  // namespace sgpt_mi::formats

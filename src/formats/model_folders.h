#pragma once

#include <filesystem>
#include <memory>

#include "sgpt_mi/formats/format.h"

namespace sgpt_mi::formats {

/// Writes weights straight into a Hugging Face folder of dense tensors: Format::open.
[[nodiscard]] std::unique_ptr<SavingStore> open_hf_folder(const std::filesystem::path& target,
                                                          const Checkpoint& checkpoint,
                                                          const SavedTypes& types);

/// Writes a packed checkpoint folder (packed_checkpoint.h): Format::open.
[[nodiscard]] std::unique_ptr<SavingStore> open_packed_folder(const std::filesystem::path& target,
                                                              const Checkpoint& checkpoint,
                                                              const SavedTypes& types);

}  // namespace sgpt_mi::formats

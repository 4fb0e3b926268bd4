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

/// Write folders that transformers, gptqmodel and vLLM load (integer_layouts): Format::open.
/// Version 1 of GPTQ for readers that do not know version 2.
[[nodiscard]] std::unique_ptr<SavingStore> open_gptq_folder(const std::filesystem::path& target,
                                                            const Checkpoint& checkpoint,
                                                            const SavedTypes& types);
[[nodiscard]] std::unique_ptr<SavingStore> open_gptq_v1_folder(const std::filesystem::path& target,
                                                               const Checkpoint& checkpoint,
                                                               const SavedTypes& types);
[[nodiscard]] std::unique_ptr<SavingStore> open_compressed_tensors_folder(
    const std::filesystem::path& target, const Checkpoint& checkpoint, const SavedTypes& types);

}  // namespace sgpt_mi::formats

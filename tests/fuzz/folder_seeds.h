#pragma once

#include <filesystem>

namespace sgpt_mi::fuzz {

/// Writes the seeds of the targets that read paths, documents, tokenizer, checkpoint and journal,
/// below
/// FOLDER/TARGET.
void write_folder_seeds(const std::filesystem::path& folder);

}  // namespace sgpt_mi::fuzz

#pragma once

#include <filesystem>
#include <string>

namespace sgpt_mi::special_tokens {

/// The bytes of a file of a tokenizer. Throws Error(kInput) when it cannot be read or is a Git LFS
/// pointer.
[[nodiscard]] std::string read_tokenizer_file(const std::filesystem::path& path);

}  // namespace sgpt_mi::special_tokens

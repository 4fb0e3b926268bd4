#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace sgpt_mi::io {

/// Remembers which file lies in these bytes, for the handler of SIGBUS. Beyond some hundred files
/// at once nothing is remembered, and the handler says less.
void remember_mapping(std::span<const std::byte> bytes, const std::filesystem::path& path);

/// Forgets it, before the bytes are given back.
void forget_mapping(std::span<const std::byte> bytes);

}  // namespace sgpt_mi::io

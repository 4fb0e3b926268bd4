#pragma once

#include <string>

#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::formats {

/// SHA-256 over the bytes of the model's weight files in name order: for a model in one file, what
/// sha256sum prints for it. Cost: one pass over the files.
[[nodiscard]] std::string weight_files_sha256(const ModelLocation& location);

}  // namespace sgpt_mi::formats

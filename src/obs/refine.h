#pragma once

#include <torch/types.h>

#include <string>

#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {

/// compress_sparsegpt() with the steps of options.refine, of which at least one is on.
[[nodiscard]] CompressResult compress_refined(const torch::Tensor& weight,
                                              const PreparedInput& input,
                                              const CompressOptions& options,
                                              const std::string& name);

}  // namespace sgpt_mi::obs

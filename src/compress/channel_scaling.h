#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/walk/block_walk.h"

namespace sgpt_mi::compress {

/// Moves scale from a site's activations into its weights (SmoothQuant, arXiv 2211.10438, eq. 4):
///
///     s_j = max|x_j|^alpha / max|W_:j|^(1 - alpha),   W <- W diag(s),   x <- x / s
///
/// with the maximum over the weights of all linears of the site, s divided by its geometric mean
/// (a common factor changes no grid) and 1 where a maximum is 0. x / s comes from the norm before:
/// its parameters are divided by s and rounded to their saved types, and s is taken from the
/// rounded ones, so that only rounding of W changes the model. The block's weights and norm and the
/// statistics in `input` are replaced.
///
/// \param linears  all linears that read the site.
/// \return the norm's new parameters in their saved types, by checkpoint name; none, and nothing is
///         changed, when no norm's output is the site's input alone.
[[nodiscard]] std::vector<std::pair<std::string, torch::Tensor>> fold_channel_scaling(
    model::Block& block, const std::vector<model::LinearInfo>& linears, double alpha,
    walk::SiteInput& input, const formats::SavedTypes& types);

}  // namespace sgpt_mi::compress

#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::obs {

// Which of a matrix's scores are the lowest. Scores are float32, not negative, and lie in parts: of
// this rank, in the order of rows, then those of the next rank. Every rank calls.

/// The value at place k of the elements of all parts of all ranks together.
///
/// Cost: among several ranks 32 KiB travel from each to all.
[[nodiscard]] float kth_smallest_of(const std::vector<torch::Tensor>& parts, std::int64_t k,
                                    const ranks::World& world = {});

/// The highest score that falls: element int(count * sparsity) of the sorted scores of all parts.
/// It and its equals fall too, one or more above the share asked for (the rule of the SparseGPT
/// code).
[[nodiscard]] float falling_score(const std::vector<torch::Tensor>& scores, double sparsity,
                                  const ranks::World& world = {});

/// The masks of the `count` lowest of all scores, bool of the shapes of this rank's parts: of equal
/// ones those with the lower index fall first, part after part.
/// \throws Error(kInternal) where too few scores are numbers.
[[nodiscard]] std::vector<torch::Tensor> prune_exactly(const std::vector<torch::Tensor>& scores,
                                                       std::int64_t count,
                                                       const ranks::World& world = {});

}  // namespace sgpt_mi::obs

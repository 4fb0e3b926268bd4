#pragma once

#include <vector>

#include "sgpt_mi/model/model.h"

namespace sgpt_mi::walk {

/// Which rank works on which of some linears: the dearest first, each to the rank that has least to
/// do with it. A linear costs rows * N^2, and once a rank and site the factor of H, 2 N^3 / 3.
///
/// \return  a rank in [0, ranks) for each linear; the same for equal arguments.
[[nodiscard]] std::vector<int> share_linears(const std::vector<model::LinearInfo>& linears,
                                             int ranks);

}  // namespace sgpt_mi::walk

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

/// Whether all ranks work on each of these linears together, every rank on some of its rows: there
/// are fewer linears than ranks, or one, and of each a product of `product_rows` rows for every
/// rank (obs::RowPlacement; 0: rows are not shared).
[[nodiscard]] bool share_rows(const std::vector<model::LinearInfo>& linears, int ranks,
                              std::int64_t product_rows);

}  // namespace sgpt_mi::walk

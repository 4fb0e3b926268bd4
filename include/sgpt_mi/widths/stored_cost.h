#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/widths/width_options.h"
#include "sgpt_mi/widths/width_plan.h"

namespace sgpt_mi::widths {

/// What the units of one linear take in the packed container.
struct StoredLinear {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool single_channels = false;
  std::vector<std::int64_t> unit_columns;
  std::vector<double> unit_kept;  ///< share of each unit's weights that the mask keeps
};

/// A linear before anything is known of it: `groups` units of about equal size, or single channels
/// for 0, and the mask's share spread evenly.
[[nodiscard]] StoredLinear nominal_linear(std::int64_t rows, std::int64_t columns,
                                          std::int64_t groups, const obs::CompressOptions& options);

/// The same with units as they are; `pruned` (rows, N) bool may be undefined: spread evenly.
[[nodiscard]] StoredLinear stored_linear(const LinearUnits& units,
                                         const obs::CompressOptions& options,
                                         const torch::Tensor& pruned);

/// Share of the weights that a mask keeps.
[[nodiscard]] double kept_share(const obs::CompressOptions& options);

/// Bits on disk as the allocator counts them: never less than packing::predict_packed_size() of the
/// result if the mask keeps what the linear says, more by the rounding of parts to whole bytes and
/// by grids of widths that no single channel gets.
struct StoredCost {
  std::int64_t fixed_bits = 0;  ///< record, mask, scales, labels
  alloc::WidthCost width_cost;  ///< codes and zero points of a unit
};

/// \param budget_bits  what the linear may take: decides whether a mask is expected to pay.
[[nodiscard]] StoredCost stored_cost(StoredLinear linear, const WidthOptions& options,
                                     const obs::CompressOptions& matrix, std::int64_t budget_bits);

}  // namespace sgpt_mi::widths

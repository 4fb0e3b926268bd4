#pragma once

#include "compress_blocks.h"
#include "measurements.h"

namespace sgpt_mi::pipeline {

/// Measures what planning needs in one pass of the first settings.plan->windows calibration windows
/// through the dense model: damage curves over sparsities and widths from one factorisation an
/// input, weighted by the sensitivity of each output row.
///
/// With settings.plan->measurements the curves cover sparsities and widths far from the target too,
/// so that other targets can be planned from the same file.
///
/// Cost: a forward pass of those windows, with Fisher sensitivity also a backward one, and about
/// 10 rows * N^2 multiply-adds a linear.
[[nodiscard]] Measurements measure_model(const BlockRun& run);

/// measure_model(), or what an earlier run with the same key left in settings.plan->measurements;
/// a new measurement is written there. Throws Error(kUsage) naming the first entry of the key that
/// differs.
[[nodiscard]] Measurements load_or_measure(const BlockRun& run);

/// Reads a file of measurements and checks that it fits the model and the settings: the linears,
/// and the entries of `key` that both have. Throws Error(kUsage) naming the difference.
void require_match(const Measurements& measurements, const nlohmann::json& key,
                   const std::string& path);

/// First windows of a set.
[[nodiscard]] text::TokenWindows first_windows(const text::TokenWindows& windows,
                                               std::int64_t count);
/// Last windows of a set.
[[nodiscard]] text::TokenWindows last_windows(const text::TokenWindows& windows,
                                              std::int64_t count);

/// How many windows are measured and how many are held out for comparing plans, of `windows`: as
/// asked, but at most a quarter is held out, and at least one is measured.
struct WindowSplit {
  std::int64_t measured = 0;
  std::int64_t held_out = 0;
};
[[nodiscard]] WindowSplit split_windows(std::int64_t windows, const PlanOptions& options);

}  // namespace sgpt_mi::pipeline

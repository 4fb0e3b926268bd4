#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/type_options.h"
#include "sgpt_mi/widths/width_options.h"

namespace sgpt_mi::planning {

/// What the outputs' squared errors are weighted by when linears are compared.
enum class Sensitivity : std::uint8_t {
  kFisher,  ///< (d loss / d y_r)^2 of each output row, by a backward pass over a few windows
  kEnergy,  ///< one over the energy of the linear's output
  kNone     ///< all alike
};

/// "fisher", "energy", "none"; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] Sensitivity parse_sensitivity(const std::string& name);
[[nodiscard]] std::string sensitivity_name(Sensitivity sensitivity);

/// How sparsities and widths are spread over the linears: src/obs/README.md, steps 1 to 3.
struct PlanOptions {
  Sensitivity sensitivity = Sensitivity::kFisher;
  std::int64_t windows = 4;        ///< first calibration windows, which are measured
  std::int64_t check_windows = 2;  ///< last ones, on which plans are compared by KL; 0: no check
  /// Sparsities of linears lie within this distance of the target's; 0: all alike.
  double sparsity_range = 0.1;
  bool plan_widths = true;      ///< whether widths may differ from the target's
  widths::WidthOptions widths;  ///< levels, target and units; read when codes are chosen
  std::string measurements;     ///< file that keeps what was measured; empty: none

  void validate() const;
};

/// What a plan is made for.
struct PlanGoal {
  obs::CompressOptions matrix;  ///< sparsity or pattern, width, damping: what all linears share
  PlanOptions plan;
  /// Of a format that holds blocks: types are planned instead of widths.
  std::optional<TypeOptions> types = std::nullopt;
  formats::GridLimits grids = {};  ///< of the format that sizes are counted in
  bool levels = false;             ///< levels for an entropy coder are planned instead of widths
};

/// How many windows are measured and how many are held out for comparing plans, of `windows`: as
/// asked, but at most a quarter is held out, and at least one is measured.
struct WindowSplit {
  std::int64_t measured = 0;
  std::int64_t held_out = 0;
};
[[nodiscard]] WindowSplit split_windows(std::int64_t windows, const PlanOptions& options);

/// Bits a weight that --target_stored_bits or --target_bytes leaves for the selected linears; empty
/// when code bits count. Throws Error(kUsage) when the bytes do not even hold the dense tensors.
[[nodiscard]] std::optional<double> stored_bits_target(const widths::WidthTarget& target,
                                                       const formats::FixedSize& fixed);

}  // namespace sgpt_mi::planning

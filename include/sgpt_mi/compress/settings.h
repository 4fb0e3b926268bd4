#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/plan_options.h"
#include "sgpt_mi/walk/layer_selection.h"
#include "sgpt_mi/widths/width_options.h"

namespace sgpt_mi::compress {

/// How the importance, groups, widths and error compensation of a run are chosen.
enum class Method : std::uint8_t {
  kSparseGpt,  ///< one width, mask and codes in one OBS sweep
  kMagnitude,  ///< one width, no compensation
  kToky,       ///< three widths by each channel's contribution
  kEnhanced,   ///< five widths by each channel's importance
  kMi,         ///< five widths by importance and mutual information of groups of channels
  kRd          ///< drift correction, refined support and codes, a measured global plan
};

/// "sparsegpt", "mi" ...; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] Method parse_method(const std::string& name);
[[nodiscard]] std::string method_name(Method method);

/// Whether the method scores channels and gives them widths of their own.
[[nodiscard]] bool has_widths(Method method);

/// How the blocks are compressed.
struct CompressionSettings {
  Method method = Method::kSparseGpt;
  obs::CompressOptions matrix;
  std::optional<widths::WidthOptions> widths;  ///< of toky, enhanced, mi, for matrix.wbits
  walk::LayerSelection selection;
  /// alpha of s_j = max|x_j|^alpha / max|W_:j|^(1 - alpha), folded into the norm before; in [0, 1].
  std::optional<double> channel_scaling;
  bool true_sequential = false;  ///< calibrate each site with the sites before it compressed
  /// alpha of drift::correct_drift against the dense model's stream, in [0, 1]; 0: off. Needs
  /// true_sequential.
  double drift = 0.0;
  bool drift_residual = false;  ///< also make good what the residual stream has lost
  std::int64_t tune = 0;        ///< calibration windows for tuning::tune_model(); 0: off
  std::optional<planning::TypeOptions> types;  ///< of a format that holds blocks: their types
  std::optional<planning::PlanOptions> plan;   ///< unset: all linears get one sparsity and width
  /// Of levels: embedding and head, which get them too.
  std::vector<formats::MatrixShape> level_ends;
  bool keep_embeddings = false;    ///< they stay as they are
  bool entropy = false;            ///< levels for an entropy coder take the place of codes
  std::int64_t batch_windows = 0;  ///< windows in one forward; 0: chosen by the memory plan
  formats::GridLimits grids;       ///< of the format that sizes are counted in

  [[nodiscard]] bool quantizes() const {
    return matrix.quantizes() || widths.has_value() || types.has_value();
  }
  /// Whether the dense model's activations are needed beside the compressed ones.
  [[nodiscard]] bool follows_dense() const { return drift > 0.0; }
  /// The rows of a product that ranks may share the rows of a linear by, walk::share_rows(); 0
  /// where they do not: widths of groups may share grids among all rows, magnitudes cost next to
  /// nothing.
  [[nodiscard]] std::int64_t shared_rows() const {
    return widths || method == Method::kMagnitude ? 0 : matrix.rows.product_rows;
  }
  /// The target of widths that are chosen; nullptr when all are alike.
  [[nodiscard]] const widths::WidthTarget* width_target() const;
  /// What the measured plan is for; there must be one.
  [[nodiscard]] planning::PlanGoal goal() const {
    return {matrix, plan.value(), types, grids, entropy};
  }

  /// Throws Error(kUsage) naming a field out of its range, or two that contradict each other.
  void validate() const;
};

}  // namespace sgpt_mi::compress

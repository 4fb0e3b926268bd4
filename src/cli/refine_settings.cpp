#include "refine_settings.h"

#include "sgpt_mi/core/error.h"
#include "width_settings.h"

namespace sgpt_mi::cli {
namespace {

using compress::Method;

/// What a step is where no flag names it.
struct StepDefaults {
  double drift = 0.0;
  std::int64_t l0_sweeps = 0;
  std::int64_t refit = 0;
  std::int64_t polish = 0;
  bool drift_residual = false;
  bool grid_after_mask = false;
  bool weighted_clip = false;
  bool scale_step = false;
};

StepDefaults defaults_of(const compress::CompressionSettings& compression) {
  if (compression.method != Method::kRd) return {};
  return {.drift = 1.0,
          .l0_sweeps = 3,
          .refit = compression.quantizes() ? 3 : 10,  // before codes it only serves grids' ranges
          .polish = compression.entropy ? 2 : 3,
          .drift_residual = true,
          .grid_after_mask = true,
          .weighted_clip = true,
          .scale_step = !compression.entropy};
}

template <typename T>
T given_or(T value, T standard) {
  return value == T{-1} ? standard : value;
}

bool switch_or(const char* key, int value, bool standard) {
  if (value < -1 || value > 1) {
    fail(ErrorKind::kUsage, "{}: {} is neither 0, 1 nor -1 (as the method has it)", key, value);
  }
  return value == -1 ? standard : value == 1;
}

}  // namespace

void set_refinement(compress::CompressionSettings& compression, const flags::Settings& typed) {
  const StepDefaults standard = defaults_of(compression);
  obs::RefineOptions& refine = compression.matrix.refine;
  refine.l0_sweeps = given_or(typed.l0_sweeps, standard.l0_sweeps);
  refine.refit_iterations = given_or(typed.refit, standard.refit);
  refine.polish_sweeps = given_or(typed.polish, standard.polish);
  refine.grid_after_mask =
      switch_or("grid_after_mask", typed.grid_after_mask, standard.grid_after_mask);
  refine.weighted_clip = switch_or("weighted_clip", typed.weighted_clip, standard.weighted_clip);
  refine.scale_step = switch_or("scale_step", typed.scale_step, standard.scale_step);
  compression.drift = given_or(typed.drift, standard.drift);
  compression.drift_residual =
      switch_or("drift_residual", typed.drift_residual, standard.drift_residual);
  if (typed.drift_residual == 1 && compression.drift == 0.0) {
    fail(ErrorKind::kUsage,
         "drift_residual: 1 is a part of the drift correction, which is off; give --drift A too");
  }
  compression.tune = typed.tune;
  compression.true_sequential =
      typed.true_sequential || compression.follows_dense() || compression.method == Method::kRd;
}

void drop_steps(flags::Settings& typed) {
  const flags::Settings standard;
  typed.drift = standard.drift;
  typed.drift_residual = standard.drift_residual;
  typed.l0_sweeps = standard.l0_sweeps;
  typed.refit = standard.refit;
  typed.grid_after_mask = standard.grid_after_mask;
  typed.weighted_clip = standard.weighted_clip;
  typed.polish = standard.polish;
  typed.scale_step = standard.scale_step;
  typed.tune = standard.tune;
}

std::optional<planning::PlanOptions> plan_options(const flags::ResolvedSettings& settings,
                                                  Method method) {
  if (method != Method::kRd) return std::nullopt;
  const flags::Settings& typed = settings.values;
  planning::PlanOptions plan;
  plan.sensitivity = planning::parse_sensitivity(typed.sensitivity);
  plan.windows = typed.plan_windows;
  plan.check_windows = typed.plan_check;
  plan.sparsity_range = typed.sparsity_range;
  plan.plan_widths = switch_or("width_plan", typed.width_plan, true);
  plan.measurements = typed.measurements;
  plan.widths = plan_width_options(settings);
  return plan;
}

}  // namespace sgpt_mi::cli

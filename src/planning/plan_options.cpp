#include "sgpt_mi/planning/plan_options.h"

#include <algorithm>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::planning {
namespace {

constexpr Names<Sensitivity, 3> kSensitivities{{{"fisher", Sensitivity::kFisher},
                                                {"energy", Sensitivity::kEnergy},
                                                {"none", Sensitivity::kNone}}};

}  // namespace

Sensitivity parse_sensitivity(const std::string& name) {
  return parse_name(kSensitivities, "sensitivity", name);
}

std::string sensitivity_name(Sensitivity sensitivity) {
  return name_of(kSensitivities, sensitivity);
}

void PlanOptions::validate() const {
  widths.validate();
  if (windows < 1) fail(ErrorKind::kUsage, "plan_windows: {} is below 1", windows);
  if (check_windows < 0) fail(ErrorKind::kUsage, "plan_check: {} is negative", check_windows);
  if (!(sparsity_range >= 0.0 && sparsity_range < 1.0)) {
    fail(ErrorKind::kUsage, "sparsity_range: {:g} is not in [0, 1)", sparsity_range);
  }
}

WindowSplit split_windows(std::int64_t windows, const PlanOptions& options) {
  WindowSplit split;
  split.held_out = std::min(options.check_windows, windows / 4);
  split.measured = std::min(options.windows, windows - split.held_out);
  return split;
}

std::optional<double> stored_bits_target(const widths::WidthTarget& target,
                                         const formats::FixedSize& fixed) {
  if (!target.bytes) return target.stored_bits;
  const std::int64_t rest = fixed.dense_bytes + fixed.header_bytes;
  if (*target.bytes <= rest) {
    fail(
        ErrorKind::kUsage,
        "target_bytes: {} are asked for, and the tensors that stay dense take {} already; ask for "
        "more, "
        "or, of --method rd in format packed, leave out --keep_embeddings and flags of fixed codes",
        human_bytes(*target.bytes), human_bytes(rest));
  }
  return 8.0 * static_cast<double>(*target.bytes - rest) /
         static_cast<double>(fixed.selected_weights);
}

}  // namespace sgpt_mi::planning

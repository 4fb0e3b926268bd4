#pragma once

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::recorder {

constexpr double kFloat16Max = 65504.0;

/// The largest |x| of the linear's input as a share of float16's largest number.
[[nodiscard]] inline double float16_share(const report::LayerReport& layer) {
  return layer.activation_max / kFloat16Max;
}

}  // namespace sgpt_mi::recorder

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::recorder {

/// A linear that differs from the others of its kind.
struct Oddity {
  std::size_t layer = 0;  ///< its index in the report
  double score = 0.0;     ///< about the doublings that lie between it and a usual linear
  std::string why;        ///< one or two sentences: what is odd in figures, and what may help
};

/// The oddest linears, at most `most`, oddest first; fewer when fewer stand out. A figure counts
/// against the median of the linears of the same kind (the last part of the name; of all linears
/// when there are fewer than four): output error, reached by planned damage, condition, range and
/// drift of the input, bits, seconds. Further tries of damping, dead, constant and massive
/// channels, too few tokens, an input near the end of float16 and an error above the output itself
/// count by themselves.
[[nodiscard]] std::vector<Oddity> find_oddities(const std::vector<report::LayerReport>& layers,
                                                std::size_t most);

}  // namespace sgpt_mi::recorder

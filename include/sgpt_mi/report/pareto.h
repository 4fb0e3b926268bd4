#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::report {

/// One compressed model in the plane of size and quality.
struct TradeoffPoint {
  std::string label;
  double size = 0.0;    ///< bits a weight in the saved file, or megabytes
  double cost = 0.0;    ///< perplexity, or KL in nats a token
  double error = 0.0;   ///< standard error of the cost
  bool beside = false;  ///< measured elsewhere, of another program: shown, never on the front
};

/// The indices of the points that no other point dominates, both coordinates being costs: another
/// point dominates when it is nowhere larger and somewhere smaller. Equal points stay together.
/// In ascending order of x, then of index. Points with a coordinate that is not finite are never on
/// the front. O(n log n).
/// x, y: one value a point each, of equal length (Error(kInternal) otherwise).
[[nodiscard]] std::vector<std::size_t> pareto_front(std::span<const double> x,
                                                    std::span<const double> y);

}  // namespace sgpt_mi::report

#include "sgpt_mi/report/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {

std::vector<std::size_t> pareto_front(std::span<const double> x, std::span<const double> y) {
  ensure(x.size() == y.size(), "report: a Pareto front of coordinates of different numbers");
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(x[i]) && std::isfinite(y[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(x[a], y[a], a) < std::tie(x[b], y[b], b);
  });
  std::vector<std::size_t> front;
  double lowest = std::numeric_limits<double>::infinity();
  for (const std::size_t i : order) {
    const bool twin = !front.empty() && x[front.back()] == x[i] && y[front.back()] == y[i];
    if (y[i] < lowest || twin) front.push_back(i);
    lowest = std::min(lowest, y[i]);
  }
  return front;
}

}  // namespace sgpt_mi::report

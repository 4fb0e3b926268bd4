#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "selection.h"
#include "sgpt_mi/core/error.h"
#include "step.h"

namespace sgpt_mi::alloc {
namespace {

// In the order of comes_before the steps of one unit stand in their own order, as their slopes
// never rise. Points on a line stay in: short steps leave less of the budget.
void append_hull(const CostCurves& curves, std::size_t unit, std::vector<Step>& steps) {
  const std::size_t start = steps.size();
  for (std::size_t to = 1; to < curves[unit].size(); ++to) {
    Step step = step_of(curves, unit, steps.size() > start ? steps.back().to : 0, to);
    while (steps.size() > start && steps.back().slope < step.slope) {
      step = step_of(curves, unit, steps.back().from, to);
      steps.pop_back();
    }
    steps.push_back(step);
  }
}

std::vector<Step> all_hull_steps(const CostCurves& curves) {
  if (curves.units() > std::numeric_limits<std::uint32_t>::max()) {
    fail(ErrorKind::kInternal, "alloc: {} units; expected fewer than 2^32", curves.units());
  }
  std::size_t most = 0;
  for (std::size_t u = 0; u < curves.units(); ++u) most += curves[u].size() - 1;
  std::vector<Step> steps;
  steps.reserve(most);
  for (std::size_t u = 0; u < curves.units(); ++u) {
    append_hull(curves, u, steps);
  }
  return steps;
}

// Partitions the steps so that those before the returned index are the longest run in order that
// `remaining` pays for, and the step at the index, if any, is the one after that run. Halving as in
// quickselect: each half is summed up once, so the cost is linear.
std::size_t affordable(const CostCurves& curves, std::span<Step> steps, std::int64_t& remaining) {
  auto first = steps.begin();
  auto last = steps.end();
  while (first != last) {
    const auto middle = first + (last - first + 1) / 2;
    std::nth_element(first, middle, last, comes_before);
    std::int64_t sum = 0;
    for (auto step = first; step != middle; ++step) sum += cost_of(curves, *step);
    if (sum <= remaining) {
      remaining -= sum;
      first = middle;
    } else if (middle - first == 1) {
      break;
    } else {
      last = middle;
    }
  }
  return static_cast<std::size_t>(first - steps.begin());
}

}  // namespace

Relaxation take_hull_steps(const CostCurves& curves, Selection& selection) {
  std::vector<Step> steps = all_hull_steps(curves);
  const std::size_t taken = affordable(curves, steps, selection.remaining);
  for (std::size_t i = 0; i < taken; ++i) {
    std::uint16_t& choice = selection.choice[steps[i].unit];
    choice = std::max(choice, steps[i].to);
  }
  if (taken == steps.size()) return {};
  const double price = steps[taken].slope;
  return {price, price * static_cast<double>(selection.remaining)};
}

}  // namespace sgpt_mi::alloc

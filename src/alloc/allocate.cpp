#include "sgpt_mi/alloc/allocate.h"

#include <algorithm>

#include "selection.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::alloc {
namespace {

double total_loss(const CostCurves& curves, const std::vector<std::uint16_t>& choice) {
  double sum = 0.0;
  for (std::size_t u = 0; u < curves.units(); ++u) sum += curves[u][choice[u]].loss;
  return sum;
}

Allocation all_at_maximum(const CostCurves& curves, std::int64_t fixed_cost) {
  Allocation result;
  result.choice.reserve(curves.units());
  for (std::size_t u = 0; u < curves.units(); ++u) {
    result.choice.push_back(static_cast<std::uint16_t>(curves[u].size() - 1));
  }
  result.cost = fixed_cost + curves.range().most;
  result.loss = total_loss(curves, result.choice);
  result.loss_bound = result.loss;
  return result;
}

}  // namespace

Allocation allocate(const CostCurves& curves, std::int64_t budget, const AllocateOptions& options) {
  const CostRange range = curves.range();
  if (budget - options.fixed_cost < range.least) {
    fail(ErrorKind::kUsage,
         "alloc: the budget is {} bits, and the least that any plan takes is {}; the nearest "
         "possible budget is {} bits",
         budget, options.fixed_cost + range.least, options.fixed_cost + range.least);
  }
  if (budget - options.fixed_cost >= range.most) return all_at_maximum(curves, options.fixed_cost);
  Selection selection;
  selection.choice.assign(curves.units(), 0);
  selection.remaining = budget - options.fixed_cost - range.least;
  const Relaxation relaxation = take_hull_steps(curves, selection);
  const double bound = total_loss(curves, selection.choice) - relaxation.saving;
  fill_remaining(curves, selection);
  if (options.exchange_units > 0) {
    const ExchangeLimits limits{options.exchange_units, relaxation.price, options.close, true};
    exchange(curves, selection, limits);
    fill_remaining(curves, selection);
  }
  Allocation result;
  result.cost = budget - selection.remaining;
  result.choice = std::move(selection.choice);
  result.loss = total_loss(curves, result.choice);
  result.loss_bound = std::min(bound, result.loss);
  return result;
}

}  // namespace sgpt_mi::alloc

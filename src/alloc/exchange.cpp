#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "combinations.h"
#include "selection.h"

namespace sgpt_mi::alloc {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two sums of the same losses in another order differ by rounding; below this share of the losses
// that take part a difference does not count.
constexpr double kRoundingShare = 1e-13;

// How many sums of costs are told apart: memory is 2 bytes times the units times this at most, and
// time is in proportion.
constexpr std::int64_t kSums = 1 << 16;

// What the unit loses by its best move when a bit costs `price`: 0 for a unit that is undecided
// between two entries.
double least_penalty(std::span<const CurvePoint> menu, std::uint16_t now, double price) {
  double least = kInfinity;
  for (std::size_t i = 0; i < menu.size(); ++i) {
    if (i == now) continue;
    const double loss = menu[i].loss - menu[now].loss;
    const auto cost = static_cast<double>(menu[i].cost - menu[now].cost);
    least = std::min(least, std::abs(loss + price * cost));
  }
  return least;
}

// Up to limits.units units that have a choice, those of least penalty, by increasing penalty.
std::vector<std::size_t> undecided_units(const CostCurves& curves, const Selection& selection,
                                         const ExchangeLimits& limits) {
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t u = 0; u < curves.units(); ++u) {
    if (curves[u].size() < 2) continue;
    ranked.emplace_back(least_penalty(curves[u], selection.choice[u], limits.price), u);
  }
  const std::size_t count = std::min(ranked.size(), static_cast<std::size_t>(limits.units));
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end());
  std::vector<std::size_t> units(count);
  for (std::size_t i = 0; i < count; ++i) units[i] = ranked[i].second;
  return units;
}

// One change of either table.
struct Pair {
  std::size_t first = 0;
  std::size_t second = 0;
  std::int64_t cost = 0;
};

// Costs in (above, most], losses below `loss`.
struct Wanted {
  std::int64_t above = 0;
  std::int64_t most = 0;
  double loss = kInfinity;
};

// The pair of least total loss that is wanted. As the first table's cost grows, the window of the
// second's that go with it slides down; `window` holds its minima, the least in front.
std::optional<Pair> best_pair(const std::vector<Change>& first, const std::vector<Change>& second,
                              Wanted wanted, double tolerance) {
  std::optional<Pair> best;
  std::deque<std::size_t> window;
  std::size_t next = second.size();  // the second table from here on has been in the window
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!std::isfinite(first[i].loss)) continue;
    for (; next > 0; --next) {
      const Change& entering = second[next - 1];
      if (!std::isfinite(entering.loss)) continue;
      if (entering.cost <= wanted.above - first[i].cost) break;
      while (!window.empty() && second[window.back()].loss >= entering.loss) window.pop_back();
      window.push_back(next - 1);
    }
    while (!window.empty() && second[window.front()].cost > wanted.most - first[i].cost) {
      window.pop_front();
    }
    if (window.empty()) continue;
    const Change& partner = second[window.front()];
    if (!(first[i].loss + partner.loss < wanted.loss)) continue;
    best = Pair{i, window.front(), first[i].cost + partner.cost};
    wanted.loss = first[i].loss + partner.loss - tolerance;
  }
  return best;
}

}  // namespace

void exchange(const CostCurves& curves, Selection& selection, const ExchangeLimits& limits) {
  std::vector<std::size_t> even;
  std::vector<std::size_t> odd;
  double tolerance = 0.0;
  for (const std::size_t unit : undecided_units(curves, selection, limits)) {
    (even.size() > odd.size() ? odd : even).push_back(unit);
    tolerance += kRoundingShare * std::abs(curves[unit][selection.choice[unit]].loss);
  }
  // Two tables, and pairs of their combinations, reach sums that one table of wide cells does not.
  const Combinations first(curves, selection.choice, std::move(even), kSums, tolerance);
  const Combinations second(curves, selection.choice, std::move(odd), kSums, tolerance);
  const std::int64_t most = selection.remaining;
  const std::int64_t close = most - curves.smallest_step();
  const std::int64_t any = -curves.range().most - 1;
  const bool must_close = limits.close && close >= 0;
  std::optional<Pair> best;
  if (limits.close) {
    const double below = must_close ? kInfinity : -tolerance;
    best = best_pair(first.changes(), second.changes(), {close, most, below}, tolerance);
  }
  if (!best && limits.improve && (must_close || !limits.close)) {
    best = best_pair(first.changes(), second.changes(), {any, most, -tolerance}, tolerance);
  }
  if (!best) return;
  first.apply(best->first, selection.choice);
  second.apply(best->second, selection.choice);
  selection.remaining -= best->cost;
}

}  // namespace sgpt_mi::alloc

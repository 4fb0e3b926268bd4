#include <algorithm>
#include <cstddef>
#include <span>

#include "selection.h"
#include "step.h"

namespace sgpt_mi::alloc {
namespace {

bool comes_after(const Step& a, const Step& b) { return comes_before(b, a); }

void append_fitting(const CostCurves& curves, const Selection& selection, std::size_t unit,
                    std::vector<Step>& steps) {
  const std::span<const CurvePoint> menu = curves[unit];
  const std::uint16_t from = selection.choice[unit];
  for (std::size_t to = from + std::size_t{1}; to < menu.size(); ++to) {
    if (menu[to].cost - menu[from].cost > selection.remaining) return;
    steps.push_back(step_of(curves, unit, from, to));
  }
}

// What does not fit now never will, because the rest only shrinks.
void drop_unfitting(const CostCurves& curves, const Selection& selection,
                    std::vector<Step>& steps) {
  const auto is_over = [&](const Step& step) {
    return step.from != selection.choice[step.unit] || cost_of(curves, step) > selection.remaining;
  };
  steps.erase(std::remove_if(steps.begin(), steps.end(), is_over), steps.end());
}

}  // namespace

void fill_remaining(const CostCurves& curves, Selection& selection) {
  std::vector<Step> heap;  // the first step in order in front
  for (std::size_t u = 0; u < curves.units(); ++u) append_fitting(curves, selection, u, heap);
  std::make_heap(heap.begin(), heap.end(), comes_after);
  std::int64_t remaining_when_dropped = selection.remaining;
  while (!heap.empty() && selection.remaining >= curves.smallest_step()) {
    std::pop_heap(heap.begin(), heap.end(), comes_after);
    const Step best = heap.back();
    heap.pop_back();
    const std::int64_t cost = cost_of(curves, best);
    if (best.from != selection.choice[best.unit] || cost > selection.remaining) continue;
    selection.choice[best.unit] = best.to;
    selection.remaining -= cost;
    const std::size_t before = heap.size();
    append_fitting(curves, selection, best.unit, heap);
    if (selection.remaining < remaining_when_dropped / 2) {
      // Millions of steps that no longer fit would each cost a pop.
      drop_unfitting(curves, selection, heap);
      std::make_heap(heap.begin(), heap.end(), comes_after);
      remaining_when_dropped = selection.remaining;
      continue;
    }
    for (std::size_t end = before + 1; end <= heap.size(); ++end) {
      std::push_heap(heap.begin(), heap.begin() + static_cast<std::ptrdiff_t>(end), comes_after);
    }
  }
}

}  // namespace sgpt_mi::alloc

#include "combinations.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace sgpt_mi::alloc {

Combinations::Combinations(const CostCurves& curves, const std::vector<std::uint16_t>& choice,
                           std::vector<std::size_t> units, std::int64_t cells, double tolerance)
    : curves_(curves), units_(std::move(units)), tolerance_(tolerance) {
  for (const std::size_t unit : units_) now_.push_back(choice[unit]);
  lay_out(cells);
  cells_.resize(static_cast<std::size_t>((highest_ - lowest_) / width_ + 1));
  cells_[cell_of(0)] = {0, 0.0};
  for (std::size_t k = 0; k < units_.size(); ++k) add(k);
}

std::size_t Combinations::cell_of(std::int64_t cost) const {
  return static_cast<std::size_t>((cost - lowest_) / width_);
}

void Combinations::lay_out(std::int64_t cells) {
  std::int64_t divisor = 0;
  std::int64_t longest = 0;
  for (std::size_t k = 0; k < units_.size(); ++k) {
    const auto menu = curves_[units_[k]];
    const std::int64_t now = menu[now_[k]].cost;
    for (const CurvePoint& point : menu) divisor = std::gcd(divisor, point.cost - now);
    lowest_ -= now - menu.front().cost;
    highest_ += menu.back().cost - now;
    longest = std::max({longest, now - menu.front().cost, menu.back().cost - now});
  }
  divisor = std::max(divisor, std::int64_t{1});  // no unit has another entry
  if ((highest_ - lowest_) / divisor >= cells) {
    lowest_ = std::max(lowest_, -4 * longest);
    highest_ = std::min(highest_, 4 * longest);
  }
  width_ = std::max(divisor, (highest_ - lowest_) / cells + 1);
}

void Combinations::add(std::size_t k) {
  const auto menu = curves_[units_[k]];
  const CurvePoint now = menu[now_[k]];
  std::vector<Change> next = cells_;
  std::vector<std::uint16_t> chosen(cells_.size(), now_[k]);
  for (std::size_t i = 0; i < menu.size(); ++i) {
    if (i == now_[k]) continue;
    for (const Change& before : cells_) {
      const std::int64_t cost = before.cost + menu[i].cost - now.cost;
      if (!std::isfinite(before.loss) || cost < lowest_ || cost > highest_) continue;
      const std::size_t cell = cell_of(cost);
      const double loss = before.loss + (menu[i].loss - now.loss);
      if (!(loss < next[cell].loss - tolerance_)) continue;
      next[cell] = {cost, loss};
      chosen[cell] = static_cast<std::uint16_t>(i);
    }
  }
  cells_ = std::move(next);
  chosen_.push_back(std::move(chosen));
}

void Combinations::apply(std::size_t index, std::vector<std::uint16_t>& choice) const {
  std::int64_t cost = cells_[index].cost;
  for (std::size_t k = units_.size(); k-- > 0;) {
    const auto menu = curves_[units_[k]];
    const std::uint16_t entry = chosen_[k][cell_of(cost)];
    cost -= menu[entry].cost - menu[now_[k]].cost;
    choice[units_[k]] = entry;
  }
}

}  // namespace sgpt_mi::alloc

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "selection.h"
#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// What changing some units together does.
struct Change {
  std::int64_t cost = 0;                                  ///< bits more (or fewer) than before
  double loss = std::numeric_limits<double>::infinity();  ///< infinity: no combination known
};

/// All combinations of the entries of a few units, by dynamic programming: per change of cost the
/// combination of least change of loss.
///
/// Costs share cells of equal width, of which the better combination is kept, with its exact cost.
/// The cells are as wide as the greatest common divisor of the moves, so that nothing is lost, when
/// that needs at most `cells` of them; else changes of more than four times the longest move are
/// left out, and then, if still necessary, cells made wider.
class Combinations {
 public:
  /// \param tolerance  by how much a loss must be lower to count, >= 0.
  Combinations(const CostCurves& curves, const std::vector<std::uint16_t>& choice,
               std::vector<std::size_t> units, std::int64_t cells, double tolerance);

  /// By increasing cost; those without a combination have an infinite loss.
  [[nodiscard]] const std::vector<Change>& changes() const { return cells_; }

  /// Writes the combination behind changes()[index] into the choice that the object was made for.
  void apply(std::size_t index, std::vector<std::uint16_t>& choice) const;

 private:
  void lay_out(std::int64_t cells);
  void add(std::size_t k);
  [[nodiscard]] std::size_t cell_of(std::int64_t cost) const;

  const CostCurves& curves_;
  std::vector<std::size_t> units_;
  std::vector<std::uint16_t> now_;  // the entries of units_ before any change
  double tolerance_;
  std::int64_t lowest_ = 0;
  std::int64_t highest_ = 0;
  std::int64_t width_ = 1;
  std::vector<Change> cells_;
  std::vector<std::vector<std::uint16_t>> chosen_;  // per unit: its entry in each cell so far
};

}  // namespace sgpt_mi::alloc

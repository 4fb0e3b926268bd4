#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// A choice under way: what allocate() and the quantile rule work on.
struct Selection {
  std::vector<std::uint16_t> choice;  ///< per unit, the index into its menu
  std::int64_t remaining = 0;         ///< bits of the budget that are not spent, >= 0
};

/// Where the hull steps ended: the multiplier of the relaxed problem.
struct Relaxation {
  double price = 0.0;   ///< loss saved per bit by the step that did not fit; 0 when all fitted
  double saving = 0.0;  ///< price * remaining at that moment: what the bound is below the loss
};

/// Takes the steps of all lower convex hulls by loss saved per bit, ties by unit, until one does
/// not fit. The selection must stand at every unit's first entry.
Relaxation take_hull_steps(const CostCurves& curves, Selection& selection);

/// Takes steps that fit, short or long, by loss saved per bit, ties by unit, until no unit's next
/// entry fits.
void fill_remaining(const CostCurves& curves, Selection& selection);

/// How far exchange() looks.
struct ExchangeLimits {
  std::int64_t units = 0;
  double price = 0.0;   ///< at which moves are compared: Relaxation::price
  bool close = true;    ///< leave less than a smallest step wherever that is found, at any loss
  bool improve = true;  ///< else, or without `close`: lower the loss within the budget
};

/// Changes up to limits.units units together, to the combination of least total loss: of those that
/// leave less than curves.smallest_step() or of all within the budget, as the limits say.
void exchange(const CostCurves& curves, Selection& selection, const ExchangeLimits& limits);

}  // namespace sgpt_mi::alloc

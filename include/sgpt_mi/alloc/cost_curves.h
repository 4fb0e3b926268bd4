#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sgpt_mi::alloc {

/// One entry of a unit's menu, for example a width, or a width with a sparsity.
struct CurvePoint {
  std::int64_t cost = 0;  ///< bits, in the caller's sense: codes alone, or everything stored
  double loss = 0.0;      ///< any unit that may be added up over the units of the problem
};

/// The least and the greatest cost of a plan, in bits.
struct CostRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

/// What each unit can take and what harm each choice does: the input of allocate(). A unit is
/// whatever gets one choice: a matrix, a group of its columns, one channel.
class CostCurves {
 public:
  /// Room for what follows; optional.
  void reserve(std::size_t units, std::size_t points);

  /// Appends a unit. Its menu has 1 to 65535 entries with costs >= 0, strictly increasing, and
  /// finite losses that do not increase; undominated() makes one of any list.
  /// \throws Error(kInternal) for another menu, and when the greatest costs together pass 2^62.
  void add(std::span<const CurvePoint> menu);

  [[nodiscard]] std::size_t units() const { return first_.size() - 1; }

  /// The menu of a unit, valid until the next add().
  [[nodiscard]] std::span<const CurvePoint> operator[](std::size_t unit) const {
    return {points_.data() + first_[unit], first_[unit + 1] - first_[unit]};
  }

  /// Every unit at its first entry, every unit at its last.
  [[nodiscard]] CostRange range() const { return range_; }

  /// The smallest difference of cost between neighbouring entries of one menu: for widths, the
  /// weights of the smallest unit times the smallest gap between levels. 0 when no unit has a
  /// choice.
  [[nodiscard]] std::int64_t smallest_step() const { return smallest_step_; }

 private:
  std::vector<CurvePoint> points_;
  std::vector<std::size_t> first_{0};  // of unit u's points; units() + 1 entries
  CostRange range_;
  std::int64_t smallest_step_ = 0;
};

/// Indices of the points that are worth having, by increasing cost: of the others each costs as
/// much as one of these or more without a smaller loss. Of equal points the first is kept.
/// \throws Error(kInternal) for a loss that is not finite.
[[nodiscard]] std::vector<std::size_t> undominated(std::span<const CurvePoint> points);

}  // namespace sgpt_mi::alloc

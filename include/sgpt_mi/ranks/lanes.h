#pragma once

#include <algorithm>
#include <cstdint>

namespace sgpt_mi::ranks {

/// Numbers first .. end - 1.
struct Range {
  std::int64_t first = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t count() const { return end - first; }
  [[nodiscard]] bool contains(std::int64_t number) const { return number >= first && number < end; }
};

/// Part `part` of 0 .. count - 1 cut into `parts` of nearly equal length, the longer ones first
/// where there are fewer numbers than parts.
[[nodiscard]] inline Range part_of(std::int64_t count, std::int64_t parts, std::int64_t part) {
  const auto start = [&](std::int64_t p) { return (p * count + parts - 1) / parts; };
  return {start(part), start(part + 1)};
}

/// Units of work, batches of windows, in up to kMost lanes of neighbours. What is summed over units
/// is summed in each lane in order and then over lanes in one order, so that the sum has the same
/// bits however many ranks share the lanes: see LaneSum.
class Lanes {
 public:
  static constexpr std::int64_t kMost = 16;

  Lanes(std::int64_t units, int ranks)
      : units_(units), lanes_(std::min(units, kMost)), ranks_(ranks) {}

  [[nodiscard]] std::int64_t units() const { return units_; }
  [[nodiscard]] std::int64_t count() const { return lanes_; }
  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] Range units_of_lane(std::int64_t lane) const {
    return part_of(units_, lanes_, lane);
  }
  [[nodiscard]] Range lanes_of_rank(int rank) const { return part_of(lanes_, ranks_, rank); }
  /// Empty for some ranks where there are more ranks than lanes.
  [[nodiscard]] Range units_of_rank(int rank) const {
    const Range lanes = lanes_of_rank(rank);
    if (lanes.count() == 0) return {};
    return {units_of_lane(lanes.first).first, units_of_lane(lanes.end - 1).end};
  }
  /// Whether a unit is the last of its lane.
  [[nodiscard]] bool ends_lane(std::int64_t unit) const {
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      if (units_of_lane(lane).end == unit + 1) return true;
    }
    return false;
  }
  [[nodiscard]] int rank_of_lane(std::int64_t lane) const {
    int rank = 0;
    while (lanes_of_rank(rank).end <= lane) ++rank;
    return rank;
  }

 private:
  std::int64_t units_;
  std::int64_t lanes_;
  int ranks_;
};

}  // namespace sgpt_mi::ranks

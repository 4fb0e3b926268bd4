#include "sgpt_mi/ranks/lane_sum.h"

#include <ATen/ops/maximum.h>

#include <cstddef>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::ranks {
namespace {

void move_to(LaneFigures& figures, torch::Device device) {
  for (auto* tensors : {&figures.sums, &figures.maxima}) {
    for (torch::Tensor& tensor : *tensors) {
      if (tensor.defined()) tensor = tensor.to(device);
    }
  }
}

}  // namespace

void LaneSum::join(LaneFigures& left, LaneFigures right) const {
  move_to(left, device_);
  move_to(right, device_);
  for (std::size_t i = 0; i < left.sums.size(); ++i) {
    torch::Tensor& sum = left.sums[i];
    if (!sum.defined()) {
      sum = right.sums[i];
    } else if (right.sums[i].defined()) {
      sum.add_(right.sums[i]);
    }
  }
  for (std::size_t i = 0; i < left.maxima.size(); ++i) {
    left.maxima[i] = at::maximum(left.maxima[i], right.maxima[i]);
  }
}

/// Adds number `number` to the sum that begins with `start`, or lets it wait where the numbers
/// before it are not there.
void LaneSum::add_to(Sums& sums, std::int64_t start, std::int64_t number,
                     LaneFigures figures) const {
  const auto before = sums.find(start);
  if (before != sums.end() && before->second.end == number) {
    join(before->second.figures, std::move(figures));
    before->second.end = number + 1;
    move_to(before->second.figures, torch::kCPU);
    return;
  }
  move_to(figures, torch::kCPU);
  sums[number] = {number + 1, std::move(figures)};
}

void LaneSum::add(std::int64_t lane, LaneFigures figures) {
  const std::int64_t group = lane / kGroup;
  add_to(of_lanes_, group * kGroup, lane, std::move(figures));
  add_group(group);
}

/// Takes a group whose lanes are all added up from the lanes.
void LaneSum::add_group(std::int64_t group) {
  const auto found = of_lanes_.find(group * kGroup);
  if (found == of_lanes_.end() || found->second.end < group_end(group)) return;
  LaneFigures figures = std::move(found->second.figures);
  of_lanes_.erase(found);
  add_to(of_groups_, 0, group, std::move(figures));
}

/// Adds numbers first .. end - 1 up on the rank that has the first of them.
void LaneSum::collect(Sums& sums, std::int64_t first, std::int64_t end,
                      const std::function<int(std::int64_t)>& rank_of) const {
  const int owner = rank_of(first);
  for (std::int64_t number = first + 1; number < end; ++number) {
    const int from = rank_of(number);
    if (from == owner) continue;
    if (from == world_.rank()) {
      const auto waiting = sums.extract(number);
      ensure(!waiting.empty(), "ranks: a sum over lanes that were not added");
      send(world_, waiting.mapped().figures.sums, owner);
      send(world_, waiting.mapped().figures.maxima, owner);
    } else if (owner == world_.rank()) {
      std::vector<torch::Tensor> added = receive(world_, from, device_);
      add_to(sums, first, number, {std::move(added), receive(world_, from, device_)});
    }
  }
}

LaneFigures LaneSum::finish() {
  const std::int64_t groups = (lanes_.count() + kGroup - 1) / kGroup;
  const auto rank_of_lane = [&](std::int64_t lane) { return lanes_.rank_of_lane(lane); };
  for (std::int64_t group = 0; group < groups; ++group) {
    collect(of_lanes_, group * kGroup, group_end(group), rank_of_lane);
    if (rank_of_lane(group * kGroup) == world_.rank()) add_group(group);
  }
  collect(of_groups_, 0, groups, [&](std::int64_t group) { return rank_of_lane(group * kGroup); });
  LaneFigures total;
  if (world_.leads()) {
    ensure(of_groups_.contains(0) && of_groups_.at(0).end == groups,
           "ranks: a sum over lanes that were not added");
    total = std::move(of_groups_.at(0).figures);
  }
  of_groups_.clear();
  move_to(total, device_);
  if (world_.alone()) return total;
  total.sums = broadcast(world_, std::move(total.sums), 0, device_);
  total.maxima = broadcast(world_, std::move(total.maxima), 0, device_);
  return total;
}

}  // namespace sgpt_mi::ranks

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

void LaneSum::add(LaneFigures figures) {
  if (world_.leads() && !waiting_.empty()) {
    join(waiting_.front(), std::move(figures));
  } else {
    waiting_.push_back(std::move(figures));
  }
  move_to(waiting_.back(), torch::kCPU);
}

/// Of a rank that has lanes: all up to its last one.
LaneFigures LaneSum::sum_up() {
  const std::int64_t first = lanes_.lanes_of_rank(world_.rank()).first;
  LaneFigures sum;
  std::size_t next = 0;
  if (first > 0) {
    const int before = lanes_.rank_of_lane(first - 1);
    sum.sums = receive(world_, before, device_);
    sum.maxima = receive(world_, before, device_);
  } else {
    sum = std::move(waiting_[next++]);
  }
  for (; next < waiting_.size(); ++next) join(sum, std::move(waiting_[next]));
  move_to(sum, device_);
  return sum;
}

LaneFigures LaneSum::finish() {
  const Range mine = lanes_.lanes_of_rank(world_.rank());
  LaneFigures total;
  if (mine.count() > 0) {
    ensure(!waiting_.empty(), "ranks: a sum over lanes that were not added");
    total = sum_up();
    if (mine.end < lanes_.count()) {
      const int after = lanes_.rank_of_lane(mine.end);
      send(world_, total.sums, after);
      send(world_, total.maxima, after);
    }
  }
  waiting_.clear();
  if (world_.alone()) return total;
  const int last = lanes_.rank_of_lane(lanes_.count() - 1);
  total.sums = broadcast(world_, std::move(total.sums), last, device_);
  total.maxima = broadcast(world_, std::move(total.maxima), last, device_);
  return total;
}

}  // namespace sgpt_mi::ranks

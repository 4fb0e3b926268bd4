#include "sgpt_mi/ranks/lane_sum.h"

#include <ATen/ops/maximum.h>

#include <bit>
#include <cstddef>

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

/// Of (first, count): its halves.
template <typename Node>
std::pair<Node, Node> halves_of(const Node& node) {
  const std::int64_t half = node.second / 2;
  return {{node.first, half}, {node.first + half, half}};
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

void LaneSum::add(std::int64_t lane, LaneFigures figures) {
  Node node{lane, 1};
  while (true) {
    const bool is_right = (node.first / node.second) % 2 == 1;
    const auto left = waiting_.find({node.first - node.second, node.second});
    if (!is_right || left == waiting_.end()) break;
    LaneFigures joined = std::move(left->second);
    waiting_.erase(left);
    join(joined, std::move(figures));
    figures = std::move(joined);
    node = {node.first - node.second, 2 * node.second};
  }
  if (node.second < lanes_.count()) move_to(figures, torch::kCPU);
  waiting_.emplace(node, std::move(figures));
}

LaneFigures LaneSum::take(const Node& node) {
  auto found = waiting_.extract(node);
  ensure(!found.empty(), "ranks: a sum over lanes that were not added");
  return std::move(found.mapped());
}

/// Leaves the sum of a node with the rank that has its first lane.
void LaneSum::reduce(const Node& node) {
  if (node.second == 1 || waiting_.contains(node)) return;
  const auto [left, right] = halves_of(node);
  const int to = owner_of(left);
  const bool none = right.first >= lanes_.count();
  const std::int64_t last = std::min(node.first + node.second, lanes_.count()) - 1;
  if (to == lanes_.rank_of_lane(last) && to != world_.rank()) return;  // that rank's alone
  reduce(left);
  if (!none) reduce(right);
  const int from = none ? to : owner_of(right);
  if (from == world_.rank() && from != to) {
    const LaneFigures figures = take(right);
    send(world_, figures.sums, to);
    send(world_, figures.maxima, to);
  }
  if (to != world_.rank()) return;
  LaneFigures sum = take(left);
  if (from != to) {
    std::vector<torch::Tensor> sums = receive(world_, from, device_);
    join(sum, {std::move(sums), receive(world_, from, device_)});
  } else if (!none) {
    join(sum, take(right));
  }
  waiting_.emplace(node, std::move(sum));
}

LaneFigures LaneSum::finish() {
  const auto lanes = static_cast<std::uint64_t>(lanes_.count());
  const Node root{0, static_cast<std::int64_t>(std::bit_ceil(lanes))};
  reduce(root);
  LaneFigures total;
  if (world_.leads()) total = take(root);
  waiting_.clear();
  move_to(total, device_);
  if (world_.alone()) return total;
  total.sums = broadcast(world_, std::move(total.sums), 0, device_);
  total.maxima = broadcast(world_, std::move(total.maxima), 0, device_);
  return total;
}

}  // namespace sgpt_mi::ranks

#include "labels.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cluster {
namespace {

/// (N, K) float32 on the device: 1 where the channel is in the group.
torch::Tensor indicators(const Labels& labels, std::int64_t groups, torch::Device device) {
  const auto channels = static_cast<std::int64_t>(labels.size());
  torch::Tensor member = at::zeros({channels, groups}, torch::kFloat32);
  member.scatter_(1, at::tensor(labels, torch::kInt64).unsqueeze(1), 1.0);
  return member.to(device);
}

/// The group most similar to `small`; of equally similar ones the largest, then the first.
std::int64_t closest_group(std::int64_t small, GroupMatrix& similarity,
                           const std::vector<std::int64_t>& sizes) {
  std::int64_t best = -1;
  for (std::int64_t g = 0; g < similarity.groups; ++g) {
    const auto size = sizes[static_cast<std::size_t>(g)];
    if (g == small || size == 0) continue;
    const double gain = best < 0 ? 1.0 : similarity.at(small, g) - similarity.at(small, best);
    if (gain > 0.0 || (gain == 0.0 && size > sizes[static_cast<std::size_t>(best)])) best = g;
  }
  return best;
}

/// Row and column `into` become the averages of both groups, weighted by their channels.
void average_similarity(GroupMatrix& similarity, const std::vector<std::int64_t>& sizes,
                        std::int64_t from, std::int64_t into) {
  const auto first = static_cast<double>(sizes[static_cast<std::size_t>(from)]);
  const auto second = static_cast<double>(sizes[static_cast<std::size_t>(into)]);
  for (std::int64_t g = 0; g < similarity.groups; ++g) {
    const double mean =
        (first * similarity.at(from, g) + second * similarity.at(into, g)) / (first + second);
    similarity.at(into, g) = mean;
    similarity.at(g, into) = mean;
  }
}

}  // namespace

std::int64_t number_by_first_channel(Labels& labels) {
  if (labels.empty()) return 0;
  const std::int32_t largest = *std::max_element(labels.begin(), labels.end());
  std::vector<std::int32_t> number(place(largest) + 1, -1);
  std::int32_t next = 0;
  for (std::int32_t& label : labels) {
    std::int32_t& renamed = number[place(label)];
    if (renamed < 0) renamed = next++;
    label = renamed;
  }
  return next;
}

std::vector<std::int64_t> sizes_of(const Labels& labels, std::int64_t groups) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(groups), 0);
  for (const std::int32_t label : labels) ++sizes[place(label)];
  return sizes;
}

torch::Tensor affinity_to_groups(const torch::Tensor& affinity, const Labels& labels,
                                 std::int64_t groups) {
  return at::mm(affinity, indicators(labels, groups, affinity.device()))
      .to(torch::kCPU, torch::kFloat64)
      .contiguous();
}

GroupMatrix mean_affinities(const torch::Tensor& affinity, const Labels& labels,
                            std::int64_t groups) {
  const torch::Tensor member = indicators(labels, groups, torch::kCPU).to(torch::kFloat64);
  const torch::Tensor size = member.sum(0);
  const torch::Tensor mean =
      (at::mm(member.t(), affinity_to_groups(affinity, labels, groups)) / size / size.unsqueeze(1))
          .contiguous();
  return {groups, {mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel()}};
}

std::int64_t merge_small_groups(Labels& labels, GroupMatrix similarity, std::int64_t smallest) {
  std::vector<std::int64_t> sizes = sizes_of(labels, similarity.groups);
  const auto present = [](std::int64_t size) { return size > 0; };
  std::int64_t merged = 0;
  std::int64_t left = std::count_if(sizes.begin(), sizes.end(), present);
  for (; left > 1; --left, ++merged) {
    const auto small =
        std::min_element(sizes.begin(), sizes.end(), [](std::int64_t a, std::int64_t b) {
          return (a == 0 ? INT64_MAX : a) < (b == 0 ? INT64_MAX : b);
        });
    if (*small >= smallest) break;
    const std::int64_t from = small - sizes.begin();
    const std::int64_t into = closest_group(from, similarity, sizes);
    average_similarity(similarity, sizes, from, into);
    sizes[static_cast<std::size_t>(into)] += *small;
    *small = 0;
    std::replace(labels.begin(), labels.end(), static_cast<std::int32_t>(from),
                 static_cast<std::int32_t>(into));
  }
  return merged;
}

Clustering make_clustering(Labels labels) {
  Clustering result;
  result.groups = number_by_first_channel(labels);
  result.sizes = sizes_of(labels, result.groups);
  result.mean_affinity.assign(result.sizes.size(), 0.0);
  result.labels = std::move(labels);
  return result;
}

}  // namespace sgpt_mi::cluster

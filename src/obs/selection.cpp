#include "selection.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::obs {
namespace {

float kth_smallest_here(const std::vector<torch::Tensor>& parts, std::int64_t k) {
  std::vector<torch::Tensor> values;  // keeps what contiguous() makes
  std::vector<kernels::ValueRun> runs;
  values.reserve(parts.size());
  runs.reserve(parts.size());
  for (const torch::Tensor& part : parts) {
    const c10::DeviceGuard guard(part.device());
    values.push_back(part.contiguous());
    runs.push_back({values.back().data_ptr<float>(), part.numel(), quant::backend_of(part),
                    part.device().index()});
  }
  return kernels::kth_smallest(runs, k);
}

torch::Tensor joined(const std::vector<torch::Tensor>& parts) {
  std::vector<torch::Tensor> flat;
  flat.reserve(parts.size());
  for (const torch::Tensor& part : parts) flat.push_back(part.flatten().to(parts.front().device()));
  return at::cat(flat);
}

/// A number of every rank, in their order.
std::vector<std::int64_t> numbers_of_ranks(const ranks::World& world, std::int64_t mine) {
  std::vector<std::int64_t> all;
  all.reserve(static_cast<std::size_t>(world.size()));
  for (int rank = 0; rank < world.size(); ++rank) {
    all.push_back(ranks::broadcast(world, nlohmann::json(mine), rank).get<std::int64_t>());
  }
  return all;
}

/// Digit by digit of the values' bits, whose order is theirs, from the digits' counts on all ranks.
float kth_smallest_of_ranks(const torch::Tensor& values, std::int64_t k,
                            const ranks::World& world) {
  struct Digit {
    int shift;
    std::int64_t count;
  };
  constexpr std::array<Digit, 3> kDigits{{{20, 2048}, {10, 1024}, {0, 1024}}};
  torch::Tensor keys = values.view(torch::kInt32).bitwise_and(0x7fffffff);  // a NaN's sign
  std::uint32_t found = 0;
  for (const auto& [shift, count] : kDigits) {
    const torch::Tensor digit = keys.bitwise_right_shift(shift).bitwise_and(count - 1);
    const torch::Tensor mine = at::bincount(digit, {}, count).unsqueeze(0).to(torch::kCPU);
    const torch::Tensor all =
        ranks::gather_rows(world, mine, torch::kCPU).sum(0).cumsum(0).contiguous();
    const auto* ends = all.const_data_ptr<std::int64_t>();
    const std::int64_t chosen = std::upper_bound(ends, ends + count, k) - ends;
    ensure(chosen < count, "obs: a place behind all scores was asked for");
    if (chosen > 0) k -= ends[chosen - 1];
    keys = keys.masked_select(digit.eq(chosen));
    found |= static_cast<std::uint32_t>(chosen) << shift;
  }
  return std::bit_cast<float>(found);
}

}  // namespace

float kth_smallest_of(const std::vector<torch::Tensor>& parts, std::int64_t k,
                      const ranks::World& world) {
  if (world.alone()) return kth_smallest_here(parts, k);
  return kth_smallest_of_ranks(joined(parts), k, world);
}

float falling_score(const std::vector<torch::Tensor>& scores, double sparsity,
                    const ranks::World& world) {
  std::int64_t mine = 0;
  for (const torch::Tensor& score : scores) mine += score.numel();
  std::int64_t count = 0;
  for (const std::int64_t number : numbers_of_ranks(world, mine)) count += number;
  return kth_smallest_of(scores, static_cast<std::int64_t>(static_cast<double>(count) * sparsity),
                         world);
}

std::vector<torch::Tensor> prune_exactly(const std::vector<torch::Tensor>& scores,
                                         std::int64_t count, const ranks::World& world) {
  std::vector<torch::Tensor> masks;
  masks.reserve(scores.size());
  const float threshold = count > 0 ? kth_smallest_of(scores, count - 1, world) : 0.0F;
  for (const torch::Tensor& score : scores) {
    const c10::DeviceGuard guard(score.device());
    masks.push_back(count > 0 ? score.lt(threshold)
                              : at::zeros(score.sizes(), score.options().dtype(torch::kBool)));
  }
  if (count == 0) return masks;
  std::int64_t lower = 0;
  for (const torch::Tensor& mask : masks) lower += mask.sum().item<std::int64_t>();
  std::int64_t missing = count;
  for (const std::int64_t number : numbers_of_ranks(world, lower)) missing -= number;
  if (missing == 0) return masks;
  std::vector<torch::Tensor> ties;
  std::int64_t equal = 0;
  for (const torch::Tensor& score : scores) {
    const c10::DeviceGuard guard(score.device());
    ties.push_back(score.flatten().eq(threshold).nonzero().squeeze(1));
    equal += ties.back().size(0);
  }
  const std::vector<std::int64_t> equals = numbers_of_ranks(world, equal);
  ensure(std::accumulate(equals.begin(), equals.end(), std::int64_t{0}) >= missing,
         "obs: some scores of a mask are not numbers");
  for (int rank = 0; rank < world.rank(); ++rank) {
    missing -= std::min(missing, equals[static_cast<std::size_t>(rank)]);
  }
  for (std::size_t i = 0; i < masks.size() && missing > 0; ++i) {
    const c10::DeviceGuard guard(masks[i].device());
    const std::int64_t falling = std::min(missing, ties[i].size(0));
    masks[i].view(-1).index_fill_(0, ties[i].narrow(0, 0, falling), true);
    missing -= falling;
  }
  return masks;
}

}  // namespace sgpt_mi::obs

#include "site_collector.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::walk {
namespace {

/// Sequences `first`, first + 2, ... of a batch; views, the same one twice where the streams are.
StreamPair every_second(const StreamPair& streams, std::int64_t first) {
  const auto part = [&](const torch::Tensor& batch) {
    return batch.slice(0, first, batch.size(0), 2);
  };
  const torch::Tensor compressed = part(streams.compressed);
  return {streams.dense.is_same(streams.compressed) ? compressed : part(streams.dense), compressed};
}

}  // namespace

SiteCollector::SiteCollector(const BlockWalk& walk, const ranks::Lanes& lanes,
                             model::LinearInfo first, std::int64_t stride)
    : walk_(walk),
      first_(std::move(first)),
      sums_(first_.name, first_.columns, walk.placement.device),
      total_(walk.world, lanes, walk.placement.device),
      stride_(stride) {}

void SiteCollector::add(const torch::Tensor& input) {
  sums_.add(input);
  if (stride_ == 0) return;
  const torch::Tensor tokens = input.reshape({-1, input.size(-1)});
  samples_.push_back(tokens.slice(0, 0, tokens.size(0), stride_).to(torch::kFloat32).clone());
}

void SiteCollector::follow_drift() {
  const auto half = [&] {
    return calib::DriftAccumulator(first_.name, first_.columns, walk_.placement.device);
  };
  drift_.emplace(std::array<calib::DriftAccumulator, 2>{half(), half()});
}

void SiteCollector::add_drift(const StreamPair& inputs, const std::optional<StreamPair>& residuals,
                              std::int64_t window) {
  const std::int64_t sequences = inputs.compressed.size(0);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(2, sequences); ++i) {
    calib::DriftAccumulator& half = (*drift_)[static_cast<std::size_t>((window + i) % 2)];
    const StreamPair input = every_second(inputs, i);
    half.add(input.dense, input.compressed);
    if (!residuals) continue;
    const StreamPair residual = every_second(*residuals, i);
    half.add_residual(residual.dense, residual.compressed, input.compressed);
  }
}

void SiteCollector::end_lane() {
  ranks::LaneFigures figures = sums_.take();
  if (drift_) {
    for (calib::DriftAccumulator& half : *drift_) {
      for (torch::Tensor& sum : half.take()) figures.sums.push_back(std::move(sum));
    }
  }
  total_.add(std::move(figures));
}

SiteInput SiteCollector::finish(std::int64_t layer) {
  ranks::LaneFigures total = total_.finish();
  std::vector<torch::Tensor> halves;
  if (drift_) {
    const auto begin = total.sums.end() - 2 * calib::DriftAccumulator::kTaken;
    halves.assign(begin, total.sums.end());
    total.sums.erase(begin, total.sums.end());
  }
  torch::Tensor samples = samples_.empty() ? torch::Tensor() : at::cat(samples_);
  if (stride_ > 0) samples = ranks::gather_rows(walk_.world, samples, walk_.placement.device);
  SiteInput input{layer, first_.site, calib::StatsAccumulator::stats_of(std::move(total)), samples};
  if (drift_) {
    const auto middle = halves.begin() + calib::DriftAccumulator::kTaken;
    input.drift = std::array<calib::DriftStats, 2>{
        calib::DriftAccumulator::stats_of({halves.begin(), middle}),
        calib::DriftAccumulator::stats_of({middle, halves.end()})};
  }
  return input;
}

}  // namespace sgpt_mi::walk

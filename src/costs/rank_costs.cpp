#include "sgpt_mi/costs/rank_costs.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sgpt_mi/ranks/lanes.h"
#include "sgpt_mi/walk/shared_linears.h"

namespace sgpt_mi::costs {
namespace {

using model::LinearInfo;
using ranks::Lanes;

constexpr double kFloatBytes = 4.0;

/// Operations a weight and column of one linear: the sweep and its two measures; with descents
/// around it also about eight of their sweeps (src/obs/README.md).
double operations_of(const LinearInfo& linear, bool refines) {
  const double square = static_cast<double>(linear.columns * linear.columns);
  return (refines ? 20.0 : 4.0) * static_cast<double>(linear.rows) * square;
}

double factor_of(std::int64_t columns) {
  const auto n = static_cast<double>(columns);
  return 4.0 / 3.0 * n * n * n;
}

class Counter {
 public:
  Counter(const CostQuestion& question, int ranks) : question_(question), ranks_(ranks) {
    for (const LinearInfo& linear : question.model.block_linears(0)) {
      weights_ += static_cast<double>(linear.rows * linear.columns);
      linears_.push_back(linear);
      columns_[static_cast<std::size_t>(linear.site)] = static_cast<double>(linear.columns);
    }
  }

  [[nodiscard]] RankCosts count(const Rates& rates) const;

 private:
  [[nodiscard]] Lanes lanes_of(std::int64_t windows) const {
    const std::int64_t batch = question_.batch_windows;
    return {std::max<std::int64_t>(1, (windows + batch - 1) / batch), ranks_};
  }
  /// Tokens of the rank with most windows.
  [[nodiscard]] double tokens_of(std::int64_t windows) const;
  /// How often figures travel to be summed over lanes and told to all.
  [[nodiscard]] double journeys(std::int64_t windows) const;
  [[nodiscard]] double forward_of_token() const;
  [[nodiscard]] double moment_of_token(bool drift) const;
  [[nodiscard]] double sum_bytes(bool drift) const;
  [[nodiscard]] double solve() const;
  [[nodiscard]] double solve(const std::vector<LinearInfo>& linears) const;

  const CostQuestion& question_;
  int ranks_;
  std::vector<LinearInfo> linears_;  // of a block
  std::array<double, model::kSites> columns_{};
  double weights_ = 0.0;
};

double Counter::tokens_of(std::int64_t windows) const {
  const Lanes lanes = lanes_of(windows);
  std::int64_t most = 0;
  for (int rank = 0; rank < ranks_; ++rank) {
    most = std::max(most, lanes.units_of_rank(rank).count());
  }
  return static_cast<double>(std::min(most * question_.batch_windows, windows) * question_.seqlen);
}

double Counter::journeys(std::int64_t windows) const {
  const auto with_lanes = std::min<std::int64_t>(lanes_of(windows).count(), ranks_);
  return static_cast<double>(with_lanes - 1 + ranks_ - 1);
}

/// Products of a block, and causal attention.
double Counter::forward_of_token() const {
  return 2.0 * weights_ +
         2.0 * static_cast<double>(question_.seqlen * question_.model.spec().hidden);
}

double Counter::moment_of_token(bool drift) const {
  double count = 0.0;
  for (std::size_t site = 0; site < columns_.size(); ++site) {
    count += (drift ? 3.0 : 1.0) * columns_[site] * columns_[site];
    const bool adds = site % 2 == 1;  // attention and MLP out
    if (drift && question_.residual_drift && adds) {
      count += 2.0 * columns_[site] * static_cast<double>(question_.model.spec().hidden);
    }
  }
  return count;
}

double Counter::sum_bytes(bool drift) const {
  double count = 0.0;
  for (std::size_t site = 0; site < columns_.size(); ++site) {
    count += (drift ? 3.0 : 1.0) * columns_[site] * columns_[site];
    if (drift && question_.residual_drift && site % 2 == 1) {
      count += 2.0 * columns_[site] * static_cast<double>(question_.model.spec().hidden);
    }
  }
  return kFloatBytes * count;
}

double Counter::solve(const std::vector<LinearInfo>& linears) const {
  const std::vector<int> rank_of = walk::share_linears(linears, ranks_);
  std::vector<double> load(static_cast<std::size_t>(ranks_));
  std::vector<std::array<bool, model::kSites>> factored(load.size());
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const auto rank = static_cast<std::size_t>(rank_of[i]);
    bool& known = factored[rank][static_cast<std::size_t>(linears[i].site)];
    load[rank] += operations_of(linears[i], question_.refines);
    if (!known) load[rank] += factor_of(linears[i].columns);
    known = true;
  }
  return *std::max_element(load.begin(), load.end());
}

/// Of the ranks with most to do: site by site, or of all sites together.
double Counter::solve() const {
  if (!question_.true_sequential) return solve(linears_);
  double count = 0.0;
  for (int site = 0; site < model::kSites; ++site) {
    std::vector<LinearInfo> linears;
    for (const LinearInfo& linear : linears_) {
      if (static_cast<int>(linear.site) == site) linears.push_back(linear);
    }
    if (!linears.empty()) count += solve(linears);
  }
  return count;
}

RankCosts Counter::count(const Rates& rates) const {
  const model::ModelSpec& spec = question_.model.spec();
  const auto layers = static_cast<double>(spec.layers);
  const double tokens = tokens_of(question_.windows);
  const double measured =
      question_.measured_windows > 0 ? tokens_of(question_.measured_windows) : 0;
  const double passes =
      (question_.true_sequential ? 1.0 : 2.0) + (question_.dense_stream ? 1.0 : 0.0);
  // A forward alone, one with its graph, and twice a forward back.
  const double backward = question_.backward_pass ? 4.0 : 0.0;
  const double forward = forward_of_token() * (passes * tokens + (1.0 + backward) * measured);
  const double moments =
      moment_of_token(question_.dense_stream) * tokens + moment_of_token(false) * measured;
  const double solving = solve() * (question_.measured_windows > 0 ? 2.0 : 1.0);
  const double scored = static_cast<double>(question_.scored_tokens) / ranks_;
  const double head = 2.0 * static_cast<double>(spec.hidden * spec.vocab);
  const double scoring = scored * (2.0 * layers * forward_of_token() + 3.0 * head);
  RankCosts costs;
  const double sums = journeys(question_.windows) * sum_bytes(question_.dense_stream);
  const double results = (ranks_ - 1) * weights_ * static_cast<double>(question_.result_bytes);
  double all = layers * (sums + results);
  if (question_.measured_windows > 0) {
    all += layers * journeys(question_.measured_windows) * sum_bytes(false);
  }
  costs.sum_bytes = static_cast<std::int64_t>(sums);
  costs.result_bytes = static_cast<std::int64_t>(results);
  costs.all_bytes = static_cast<std::int64_t>(all);
  // A rank waits for what arrives there: the result, and what it sums.
  const double exchange = ranks_ > 1 ? 2.0 * all / (ranks_ * rates.wire) : 0.0;
  costs.seconds = {{"forward", layers * forward / rates.walk},
                   {"H", layers * moments / rates.walk},
                   {"OBS", layers * solving / rates.columns},
                   {"scoring", scoring / rates.wide},
                   {"exchange", exchange}};
  return costs;
}

}  // namespace

double RankCosts::total() const {
  double sum = 0.0;
  for (const auto& [_, stage] : seconds) sum += stage;
  return sum;
}

RankCosts rank_costs(const CostQuestion& question, const Rates& rates, int ranks) {
  return Counter(question, ranks).count(rates);
}

}  // namespace sgpt_mi::costs

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

/// Of the sweep of one linear and its two measures, of the sweeps of the descents around it
/// (src/obs/README.md), of which each takes a product of the matrix with H, and of its drift's
/// target, about two products.
double sweep_seconds(const LinearInfo& linear, const CostQuestion& question, const Rates& rates) {
  const auto columns = static_cast<double>(linear.columns);
  const double products = 2.0 + question.descents + (question.dense_stream ? 2.0 : 0.0);
  return 2.0 * products * static_cast<double>(linear.rows) * columns * columns / rates.sweeps +
         (1.0 + question.descents) * columns * rates.column;
}

double factor_seconds(std::int64_t columns, const Rates& rates) {
  const auto n = static_cast<double>(columns);
  return 4.0 / 3.0 * n * n * n / rates.factors;
}

class Counter {
 public:
  Counter(const CostQuestion& question, const Rates& rates, int ranks)
      : question_(question), rates_(rates), ranks_(ranks) {
    for (const LinearInfo& linear : question.model.block_linears(0)) {
      weights_ += static_cast<double>(linear.rows * linear.columns);
      linears_.push_back(linear);
      columns_[static_cast<std::size_t>(linear.site)] = static_cast<double>(linear.columns);
    }
  }

  [[nodiscard]] RankCosts count() const;

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
  /// Calls for the linears that are compressed together: of a site, or of the block.
  template <typename Count>
  [[nodiscard]] double sum_of_steps(const Count& count) const;
  [[nodiscard]] double solve_seconds(const std::vector<LinearInfo>& linears) const;
  [[nodiscard]] double shared_seconds(const std::vector<LinearInfo>& linears) const;
  [[nodiscard]] double result_bytes(const std::vector<LinearInfo>& linears) const;

  const CostQuestion& question_;
  const Rates& rates_;
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

/// Where every rank factors H and takes whole products of every linear's rows: of one with most.
double Counter::shared_seconds(const std::vector<LinearInfo>& linears) const {
  double seconds = 0.0;
  std::array<bool, model::kSites> factored{};
  for (LinearInfo part : linears) {
    bool& known = factored[static_cast<std::size_t>(part.site)];
    if (!known) seconds += factor_seconds(part.columns, rates_);
    known = true;
    const std::int64_t products = (part.rows + question_.product_rows - 1) / question_.product_rows;
    part.rows = std::min(part.rows, (products + ranks_ - 1) / ranks_ * question_.product_rows);
    seconds += sweep_seconds(part, question_, rates_);
  }
  return seconds;
}

/// Of the rank with most to do.
double Counter::solve_seconds(const std::vector<LinearInfo>& linears) const {
  if (walk::share_rows(linears, ranks_, question_.product_rows)) return shared_seconds(linears);
  const std::vector<int> rank_of = walk::share_linears(linears, ranks_);
  std::vector<double> load(static_cast<std::size_t>(ranks_));
  std::vector<std::array<bool, model::kSites>> factored(load.size());
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const auto rank = static_cast<std::size_t>(rank_of[i]);
    bool& known = factored[rank][static_cast<std::size_t>(linears[i].site)];
    load[rank] += sweep_seconds(linears[i], question_, rates_);
    if (!known) load[rank] += factor_seconds(linears[i].columns, rates_);
    known = true;
  }
  return *std::max_element(load.begin(), load.end());
}

/// A weight goes to all other ranks.
double Counter::result_bytes(const std::vector<LinearInfo>& linears) const {
  double weights = 0.0;
  for (const LinearInfo& linear : linears) {
    weights += static_cast<double>(linear.rows * linear.columns);
  }
  const bool by_rows = walk::share_rows(linears, ranks_, question_.product_rows);
  return (ranks_ - 1) * weights *
         static_cast<double>(by_rows ? question_.row_bytes : question_.result_bytes);
}

template <typename Count>
double Counter::sum_of_steps(const Count& count) const {
  if (!question_.true_sequential) return count(linears_);
  double sum = 0.0;
  for (int site = 0; site < model::kSites; ++site) {
    std::vector<LinearInfo> linears;
    for (const LinearInfo& linear : linears_) {
      if (static_cast<int>(linear.site) == site) linears.push_back(linear);
    }
    if (!linears.empty()) sum += count(linears);
  }
  return sum;
}

RankCosts Counter::count() const {
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
  double solving = sum_of_steps([&](const auto& linears) { return solve_seconds(linears); });
  if (question_.measured_windows > 0) solving *= 2.0;
  const double scored = static_cast<double>(question_.scored_tokens) / ranks_;
  const double head = 2.0 * static_cast<double>(spec.hidden * spec.vocab);
  const double scoring = scored * (2.0 * layers * forward_of_token() + 3.0 * head);
  RankCosts costs;
  const double sums = journeys(question_.windows) * sum_bytes(question_.dense_stream);
  const double results = sum_of_steps([&](const auto& linears) { return result_bytes(linears); });
  double all = layers * (sums + results);
  if (question_.measured_windows > 0) {
    all += layers * journeys(question_.measured_windows) * sum_bytes(false);
  }
  costs.sum_bytes = static_cast<std::int64_t>(sums);
  costs.result_bytes = static_cast<std::int64_t>(results);
  costs.all_bytes = static_cast<std::int64_t>(all);
  // A rank waits for what arrives there: the result, and what it sums.
  const double exchange = ranks_ > 1 ? 2.0 * all / (ranks_ * rates_.wire) : 0.0;
  costs.seconds = {{"forward", layers * forward / rates_.walk},
                   {"H", layers * moments / rates_.walk},
                   {"OBS", layers * solving},
                   {"scoring", scoring / rates_.wide},
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
  return Counter(question, rates, ranks).count();
}

}  // namespace sgpt_mi::costs

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/mi/mi_matrix.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/widths/importance.h"

namespace sgpt_mi::widths {

/// What the input channels of a linear are grouped by. All but the first are compared with the same
/// allocator and budget.
enum class Grouping : std::uint8_t {
  kChannels,    ///< not at all: every channel gets a width of its own
  kMi,          ///< clusters of mutual information
  kCorr,        ///< clusters of positive correlation
  kHessian,     ///< equal runs of the channels sorted by diag(H)
  kContiguous,  ///< equal runs of neighbours
  kRandom,      ///< equal sets drawn at random
  kKmeans       ///< k-means on the channels' correlation profiles
};

/// "mi", "corr" ...; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] Grouping parse_grouping(const std::string& name);
[[nodiscard]] std::string grouping_name(Grouping grouping);

struct GroupingOptions {
  Grouping grouping = Grouping::kMi;
  std::int64_t groups = 10;  ///< of a linear's input; 0: by the eigengap
  mi::Estimator estimator = mi::Estimator::kGaussian;
  cluster::Method clustering = cluster::Method::kSpectral;
  std::int64_t sample_tokens = 1024;  ///< tokens that histogram, kde and ksg look at
  std::uint64_t seed = 0;             ///< of k-means starts and random groups

  void validate() const;
};

/// What a unit's width is chosen by.
enum class ChannelScore : std::uint8_t {
  kImportance,   ///< five terms, mean 1: channel_importance
  kContribution  ///< mean |w| * mean |x|: channel_contribution
};

enum class BitAllocation : std::uint8_t {
  kBudget,    ///< least importance-weighted noise under a hard cap
  kQuantile,  ///< fixed shares of the weights for each width, then the cap
  kThreshold  ///< fixed bounds, no cap
};

/// "budget", "quantile", "threshold"; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] BitAllocation parse_bit_allocation(const std::string& name);
[[nodiscard]] std::string bit_allocation_name(BitAllocation allocation);

/// What the widths may take. At most one of average_bits, stored_bits and bytes counts.
struct WidthTarget {
  double average_bits = 4.0;  ///< code bits a weight, pruned ones included; counts by default
  std::optional<double> attention_bits;  ///< instead, for the linears of the attention
  std::optional<double> ffn_bits;        ///< instead, for the linears of the MLP
  std::optional<double> stored_bits;  ///< bits a weight on disk: codes, masks, scales and the rest
  std::optional<std::int64_t> bytes;  ///< of the saved model's weight files
  bool over_model = false;            ///< one budget for all linears instead of the same for each

  void validate() const;
};

/// How columns get widths of their own: src/widths/README.md.
struct WidthOptions {
  GroupingOptions grouping;
  ChannelScore score = ChannelScore::kImportance;
  ImportanceWeights importance;
  BitAllocation allocation = BitAllocation::kBudget;
  alloc::ThresholdRule thresholds;  ///< read by kThreshold
  std::vector<int> levels = alloc::kDefaultLevels;
  WidthTarget target;
  quant::GridSharing sharing = quant::GridSharing::kRowGroup;

  void validate() const;
};

}  // namespace sgpt_mi::widths

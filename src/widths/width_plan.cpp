#include "sgpt_mi/widths/width_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::widths {
namespace {

std::vector<double> to_vector(const torch::Tensor& values) {
  const torch::Tensor host = values.to(torch::kCPU, torch::kFloat64).contiguous();
  const double* data = host.const_data_ptr<double>();
  return {data, data + host.numel()};
}

torch::Tensor channel_scores(const torch::Tensor& weight, const ChannelMoments& moments,
                             const WidthOptions& options) {
  switch (options.score) {
    case ChannelScore::kImportance:
      return channel_importance(weight, moments, options.importance);
    case ChannelScore::kContribution:
      return channel_contribution(weight, moments.mean_abs);
  }
  fail(ErrorKind::kInternal, "pipeline: unknown channel score {}", static_cast<int>(options.score));
}

/// One unit a channel.
void make_channel_units(LinearUnits& result) {
  result.single_channels = true;
  result.unit_of_channel.resize(result.channel_score.size());
  std::iota(result.unit_of_channel.begin(), result.unit_of_channel.end(), 0);
  for (const double score : result.channel_score) result.units.push_back({result.rows, score});
}

void make_group_units(LinearUnits& result, const SiteGroups& groups) {
  const auto count = static_cast<std::size_t>(groups.groups);
  std::vector<std::int64_t> channels(count, 0);
  std::vector<double> sum(count, 0.0);
  for (std::size_t j = 0; j < groups.labels.size(); ++j) {
    const auto g = static_cast<std::size_t>(groups.labels[j]);
    ++channels[g];
    sum[g] += result.channel_score[j];
  }
  result.unit_of_channel = groups.labels;
  for (std::size_t g = 0; g < count; ++g) {
    const double mean = sum[g] / static_cast<double>(channels[g]);
    result.units.push_back({result.rows * channels[g], mean * (1.0 - groups.mean_affinity[g])});
  }
}

/// Neighbouring numbers from 0 for the widths in use, ascending.
quant::ColumnGroups width_classes(const LinearUnits& units, const std::vector<int>& bits) {
  std::map<int, std::int32_t> class_of_width;
  for (const int width : bits) class_of_width[width] = 0;
  quant::ColumnGroups groups;
  for (auto& [width, label] : class_of_width) {
    label = static_cast<std::int32_t>(groups.bits_of_group.size());
    groups.bits_of_group.push_back(width);
  }
  for (const std::int32_t unit : units.unit_of_channel) {
    groups.group_of_column.push_back(class_of_width.at(bits[static_cast<std::size_t>(unit)]));
  }
  return groups;
}

}  // namespace

LinearUnits score_units(const torch::Tensor& weight, const SiteGroups& groups,
                        const ChannelMoments& moments, const WidthOptions& options) {
  LinearUnits result;
  result.rows = weight.size(0);
  result.channel_score = to_vector(channel_scores(weight, moments, options));
  if (groups.labels.empty()) {
    make_channel_units(result);
  } else {
    make_group_units(result, groups);
  }
  return result;
}

alloc::BitPlan plan_widths(const std::vector<alloc::Unit>& units, const WidthOptions& options,
                           const alloc::BitTarget& target) {
  switch (options.allocation) {
    case BitAllocation::kBudget:
      return alloc::plan_budget(units, options.levels, target);
    case BitAllocation::kQuantile:
      return alloc::plan_quantile(units, options.levels, target);
    case BitAllocation::kThreshold:
      return alloc::plan_threshold(units, options.thresholds);
  }
  fail(ErrorKind::kInternal, "pipeline: unknown bit allocation {}",
       static_cast<int>(options.allocation));
}

quant::ColumnGroups column_groups(const LinearUnits& units, const std::vector<int>& bits,
                                  quant::GridSharing sharing) {
  quant::ColumnGroups groups;
  if (units.single_channels) {
    groups = width_classes(units, bits);
  } else {
    groups.group_of_column = units.unit_of_channel;
    groups.bits_of_group = bits;
  }
  groups.sharing = sharing;
  return groups;
}

}  // namespace sgpt_mi::widths

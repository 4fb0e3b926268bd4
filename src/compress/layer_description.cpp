#include "layer_description.h"

#include <algorithm>
#include <map>

namespace sgpt_mi::compress {
namespace {

/// Sums over the channels of what is told as one group.
struct GroupSum {
  std::int64_t channels = 0;
  int bits = 0;
  double score = 0.0;
};

std::vector<GroupSum> sums_by(const widths::LinearPlan& plan,
                              const std::vector<std::int32_t>& group_of_channel,
                              std::size_t groups) {
  std::vector<GroupSum> sums(groups);
  for (std::size_t j = 0; j < group_of_channel.size(); ++j) {
    GroupSum& sum = sums[static_cast<std::size_t>(group_of_channel[j])];
    ++sum.channels;
    sum.bits = plan.bits[static_cast<std::size_t>(plan.units.unit_of_channel[j])];
    sum.score += plan.units.channel_score[j];
  }
  return sums;
}

report::GroupReport group_report(const GroupSum& sum) {
  return {sum.channels, sum.bits, std::nullopt, sum.score / static_cast<double>(sum.channels)};
}

}  // namespace

report::LayerReport describe_layer(const model::LinearInfo& linear,
                                   const obs::CompressResult& result,
                                   const CompressionSettings& settings, DType saved) {
  report::LayerReport layer;
  layer.name = linear.name;
  layer.rows = linear.rows;
  layer.columns = linear.columns;
  layer.sparsity = result.sparsity;
  layer.average_bits =
      settings.quantizes() ? settings.matrix.wbits : 8.0 * static_cast<double>(dtype_size(saved));
  layer.loss = result.loss;
  layer.output_error =
      result.output_energy > 0.0 ? result.output_error / result.output_energy : 0.0;
  for (const obs::DampingStep& step : result.damping) {
    layer.damping_steps.push_back({step.percdamp, step.float64, step.succeeded, step.residual});
  }
  if (!result.damping.empty()) layer.damping = result.damping.back().percdamp;
  layer.dead_channels = result.dead_channels;
  return layer;
}

void describe_calibration(report::LayerReport& layer, const calib::LayerStats& stats,
                          std::int64_t constant_channels) {
  layer.constant_channels = constant_channels;
  layer.calibration_tokens = stats.tokens;
  layer.rank_deficient = stats.tokens < layer.columns;
}

void describe_widths(report::LayerReport& layer, const widths::LinearPlan& plan,
                     const widths::SiteGroups& groups) {
  const std::vector<double>& scores = plan.units.channel_score;
  const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
  layer.importance_min = *least;
  layer.importance_max = *most;
  std::int64_t bits = 0;
  for (const std::int32_t unit : plan.units.unit_of_channel) {
    const int width = plan.bits[static_cast<std::size_t>(unit)];
    ++layer.channels_by_bits[width];
    bits += width;
  }
  layer.average_bits = static_cast<double>(bits) / static_cast<double>(layer.columns);
  if (plan.units.single_channels) {
    const quant::ColumnGroups classes =
        widths::column_groups(plan.units, plan.bits, quant::GridSharing::kRowGroup);
    for (const GroupSum& sum :
         sums_by(plan, classes.group_of_column, classes.bits_of_group.size())) {
      layer.groups.push_back(group_report(sum));
    }
    return;
  }
  layer.silhouette = groups.silhouette;
  const auto count = static_cast<std::size_t>(groups.groups);
  const std::vector<GroupSum> sums = sums_by(plan, groups.labels, count);
  for (std::size_t g = 0; g < count; ++g) {
    layer.groups.push_back(group_report(sums[g]));
    if (sums[g].channels > 1) layer.groups.back().mean_nmi = groups.mean_affinity[g];
  }
}

void describe_choice(report::LayerReport& layer, const obs::CompressOptions& options) {
  if (!options.quantizes()) return;
  if (options.levels) {
    layer.step = options.levels->step;
    return;
  }
  if (options.block_type != nullptr) {
    layer.type = options.block_type->name;
    layer.average_bits = options.block_type->code_bits;
    layer.channels_by_bits[options.block_type->code_bits] = layer.columns;
    return;
  }
  if (!options.groups) {
    layer.average_bits = options.wbits;
    layer.channels_by_bits[options.wbits] = layer.columns;
    return;
  }
  const quant::ColumnGroups& groups = *options.groups;
  std::vector<std::int64_t> channels(groups.bits_of_group.size(), 0);
  std::int64_t bits = 0;
  for (const std::int32_t label : groups.group_of_column) {
    const auto group = static_cast<std::size_t>(label);
    ++channels[group];
    bits += groups.bits_of_group[group];
  }
  for (std::size_t g = 0; g < channels.size(); ++g) {
    layer.channels_by_bits[groups.bits_of_group[g]] += channels[g];
    layer.groups.push_back({channels[g], groups.bits_of_group[g]});
  }
  layer.average_bits = static_cast<double>(bits) / static_cast<double>(layer.columns);
}

}  // namespace sgpt_mi::compress

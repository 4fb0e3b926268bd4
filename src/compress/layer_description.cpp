#include "layer_description.h"

#include <algorithm>
#include <map>

#include "sgpt_mi/planning/rd_measure.h"

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
  for (const cholesky::DampingStep& step : result.damping) {
    layer.damping_steps.push_back({step.percdamp, step.float64, step.succeeded, step.residual});
  }
  if (!result.damping.empty()) layer.damping = result.damping.back().percdamp;
  layer.dead_channels = result.dead_channels;
  return layer;
}

InputFigures input_figures(const walk::SiteInput& input, const obs::PreparedInput& prepared) {
  const calib::LayerStats& stats = input.stats;
  InputFigures figures;
  figures.constant_channels = stats.constant_channels();
  figures.massive_channels = stats.massive_channels();
  figures.abs_max = stats.channel_abs_max.max().item<double>();
  const double size = stats.channel_abs_sum.sum().item<double>();
  if (input.drift && size > 0.0) {
    figures.stream_gap = ((*input.drift)[0].abs_sum + (*input.drift)[1].abs_sum) / size;
  }
  if (prepared.upper.defined()) figures.condition = prepared.condition();
  return figures;
}

void describe_calibration(report::LayerReport& layer, const calib::LayerStats& stats,
                          const InputFigures& figures) {
  layer.constant_channels = figures.constant_channels;
  layer.massive_channels = figures.massive_channels;
  layer.activation_max = figures.abs_max;
  layer.stream_gap = figures.stream_gap;
  layer.condition = figures.condition;
  layer.calibration_tokens = stats.tokens;
  layer.rank_deficient = stats.tokens < layer.columns;
}

void describe_damage(report::LayerReport& layer, const planning::LinearChoice& choice,
                     planning::Sensitivity sensitivity, const calib::LayerStats& stats,
                     const obs::CompressResult& result) {
  if (choice.damage <= 0.0) return;  // of a fixed block type none is measured
  layer.planned_damage = choice.damage;
  const torch::Tensor weight = torch::tensor(choice.damage_weight, torch::kFloat64);
  layer.reached_damage =
      planning::damage_unit(sensitivity, stats.tokens, stats.sequences, result.output_energy) *
      result.row_error.dot(weight).item<double>();
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

#include "sgpt_mi/widths/width_planner.h"

#include <limits>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::widths {
namespace {

/// Groups that a plan counts with before the clusters are known.
std::int64_t nominal_groups(const GroupingOptions& options) {
  if (options.grouping == Grouping::kChannels) return 0;
  return options.groups > 0 ? options.groups : cluster::kMostGroups;
}

bool is_attention(model::Site site) {
  return site == model::Site::kAttentionIn || site == model::Site::kAttentionOut;
}

std::vector<alloc::Unit> nominal_units(const StoredLinear& linear) {
  std::vector<alloc::Unit> units;
  units.reserve(linear.unit_columns.size());
  for (const std::int64_t columns : linear.unit_columns) {
    units.push_back({linear.rows * columns, 1.0});
  }
  return units;
}

}  // namespace

ChannelMoments channel_moments(const calib::LayerStats& stats,
                               const torch::Tensor& inverse_diagonal) {
  const auto tokens = static_cast<double>(stats.tokens);
  ChannelMoments moments;
  moments.mean_abs = stats.channel_abs_sum / tokens;
  moments.mean_square = stats.second_moment_sum.diagonal().to(torch::kFloat64) / tokens;
  // Rounding of the float32 second moment may leave a variance a little below 0.
  moments.variance = (moments.mean_square - (stats.channel_sum / tokens).square()).clamp_min_(0.0);
  moments.inverse_diagonal = inverse_diagonal;
  return moments;
}

WidthPlanner::WidthPlanner(WidthGoal goal, const model::Model& model) : goal_(std::move(goal)) {
  if (options().allocation != BitAllocation::kThreshold) require_reachable(model);
}

double WidthPlanner::target_bits(const model::LinearInfo& linear) const {
  const WidthTarget& target = options().target;
  if (goal_.stored_bits) return *goal_.stored_bits;
  const std::optional<double>& part =
      is_attention(linear.site) ? target.attention_bits : target.ffn_bits;
  return part.value_or(target.average_bits);
}

std::int64_t WidthPlanner::budget_of(const model::LinearInfo& linear) const {
  return alloc::budget_bits_of(target_bits(linear), linear.rows * linear.columns);
}

alloc::BitTarget WidthPlanner::target_of(const StoredLinear& linear,
                                         std::int64_t budget_bits) const {
  if (!goal_.stored_bits) return {budget_bits, 0, {}};
  StoredCost cost = stored_cost(linear, options(), goal_.matrix, budget_bits);
  return {budget_bits, cost.fixed_bits, std::move(cost.width_cost)};
}

/// Checks every linear by itself, or their sum, with groups of equal size.
void WidthPlanner::require_reachable(const model::Model& model) const {
  std::int64_t least = 0;
  std::int64_t budget = 0;
  std::int64_t weights = 0;
  for (const model::LinearInfo& linear : walk::selected_linears(model, goal_.selection)) {
    const StoredLinear nominal = nominal_linear(linear.rows, linear.columns,
                                                nominal_groups(options().grouping), goal_.matrix);
    alloc::BitTarget target = target_of(nominal, budget_of(linear));
    budget += target.budget_bits;
    weights += linear.rows * linear.columns;
    if (options().target.over_model) {
      target.budget_bits = std::numeric_limits<std::int64_t>::max();
    }
    least += alloc::require_reachable(nominal_units(nominal), options().levels, target).least;
  }
  if (least <= budget) return;
  const auto per_weight = [&](std::int64_t bits) {
    return static_cast<double>(bits) / static_cast<double>(weights);
  };
  fail(
      ErrorKind::kUsage,
      "alloc: the target is {:.4f} bits a weight over the model; the narrowest widths take {:.4f}; "
      "ask for that or more",
      per_weight(budget), per_weight(least));
}

void WidthPlanner::measure_model(const walk::BlockWalk& walk) {
  walk::BlockWalk dense = walk;
  dense.true_sequential = true;  // nothing is replaced, so every activation is needed once
  dense.dense_stream = false;    // and both streams would be one
  dense.residual_drift = false;
  walk::walk_blocks(dense, [&](model::Block& block, std::span<walk::SiteInput> inputs) {
    for (const walk::SiteInput& input : inputs) measure_site(block, input, walk.timings);
  });
  allocate_model(walk.timings);
}

void WidthPlanner::measure_site(model::Block& block, const walk::SiteInput& input,
                                std::map<std::string, double>& timings) {
  torch::Tensor inverse_diagonal;
  std::optional<SiteGroups> groups;
  for (const model::LinearInfo& linear : block.linears()) {
    if (linear.site != input.site) continue;
    if (!goal_.selection.contains(input.layer, linear.name)) continue;
    if (!groups) {
      groups = group_site(input, options().grouping, false, timings);
      const walk::StageTimer timer(timings, "factor");
      obs::CompressOptions here = goal_.matrix;
      here.rows = {};  // nothing is solved yet: no copies on other devices
      inverse_diagonal =
          obs::prepare_input(input.stats.hessian(), here, linear.name).inverse_diagonal();
    }
    const walk::StageTimer timer(timings, "alloc");
    LinearPlan plan;
    plan.units = score_units(block.weight(linear.short_name), *groups,
                             channel_moments(input.stats, inverse_diagonal), options());
    plan.budget_bits = budget_of(linear);
    measured_.emplace(linear.name, std::move(plan));
  }
  if (groups) measured_sites_.emplace(std::pair(input.layer, input.site), std::move(*groups));
}

/// One allocation over the units of all linears; each linear's share becomes its own cap.
void WidthPlanner::allocate_model(std::map<std::string, double>& timings) {
  const walk::StageTimer timer(timings, "alloc");
  std::vector<alloc::Unit> units;
  std::vector<std::pair<std::size_t, StoredCost>> parts;  // first unit and costs of each linear
  std::vector<std::size_t> part_of_unit;
  alloc::BitTarget target;
  for (const auto& [name, plan] : measured_) {
    target.budget_bits += plan.budget_bits;
    StoredCost cost;
    if (goal_.stored_bits) {
      cost = stored_cost(stored_linear(plan.units, goal_.matrix, {}), options(), goal_.matrix,
                         plan.budget_bits);
    } else {
      cost.width_cost = [&units = plan.units.units](std::size_t unit, int bits) {
        return units[unit].weights * bits;
      };
    }
    target.fixed_bits += cost.fixed_bits;
    part_of_unit.insert(part_of_unit.end(), plan.units.units.size(), parts.size());
    parts.emplace_back(units.size(), std::move(cost));
    units.insert(units.end(), plan.units.units.begin(), plan.units.units.end());
  }
  target.width_cost = [&](std::size_t unit, int bits) {
    const auto& [first, cost] = parts[part_of_unit[unit]];
    return cost.width_cost(unit - first, bits);
  };
  const alloc::BitPlan plan = plan_widths(units, options(), target);
  std::size_t part = 0;
  for (auto& [name, linear] : measured_) {
    const auto& [first, cost] = parts[part++];
    const auto begin = plan.bits.begin() + static_cast<std::ptrdiff_t>(first);
    linear.bits.assign(begin, begin + static_cast<std::ptrdiff_t>(linear.units.units.size()));
    linear.budget_bits = cost.fixed_bits;
    for (std::size_t u = 0; u < linear.bits.size(); ++u) {
      linear.budget_bits += cost.width_cost(u, linear.bits[u]);
    }
    linear.warning = plan.warning;
  }
}

SiteGroups WidthPlanner::groups_of(const walk::SiteInput& input, bool keep_affinity,
                                   std::map<std::string, double>& timings) {
  const auto measured = measured_sites_.find({input.layer, input.site});
  if (measured != measured_sites_.end()) return measured->second;
  return group_site(input, options().grouping, keep_affinity, timings);
}

LinearPlan WidthPlanner::plan(const model::LinearInfo& linear, const torch::Tensor& weight,
                              const SiteGroups& groups, const ChannelMoments& moments,
                              std::map<std::string, double>& timings) const {
  const walk::StageTimer timer(timings, "alloc");
  const auto measured = measured_.find(linear.name);
  if (measured != measured_.end()) return measured->second;
  LinearPlan plan;
  plan.units = score_units(weight, groups, moments, options());
  plan.budget_bits = budget_of(linear);
  const alloc::BitPlan widths =
      plan_widths(plan.units.units, options(),
                  target_of(stored_linear(plan.units, goal_.matrix, {}), plan.budget_bits));
  plan.bits = widths.bits;
  plan.warning = widths.warning;
  return plan;
}

std::vector<int> WidthPlanner::replan(const LinearPlan& plan, const torch::Tensor& pruned,
                                      std::int64_t budget_bits) const {
  return plan_widths(plan.units.units, options(),
                     target_of(stored_linear(plan.units, goal_.matrix, pruned), budget_bits))
      .bits;
}

}  // namespace sgpt_mi::widths

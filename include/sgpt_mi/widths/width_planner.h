#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/model/model.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/importance.h"
#include "sgpt_mi/widths/site_groups.h"
#include "sgpt_mi/widths/stored_cost.h"
#include "sgpt_mi/widths/width_plan.h"

namespace sgpt_mi::widths {

/// Widths of one linear's units and what they may take.
struct LinearPlan {
  LinearUnits units;
  std::vector<int> bits;         ///< per unit
  std::int64_t budget_bits = 0;  ///< hard cap in the target's sense; 0: none
  std::string warning;           ///< for the user; empty: nothing to say
};

/// What widths are chosen for.
struct WidthGoal {
  WidthOptions widths;
  obs::CompressOptions matrix;  ///< what all linears share
  walk::LayerSelection selection;
  /// What a stored-size target leaves for the selected linears, bits a weight; empty: code bits
  /// count.
  std::optional<double> stored_bits;
};

/// Decides the widths of a run, linear by linear or, over the model, all at once.
class WidthPlanner {
 public:
  /// \throws Error(kUsage) a target that no plan can reach, naming the nearest possible one.
  WidthPlanner(WidthGoal goal, const model::Model& model);

  /// With one budget for the model: a pass over the dense model that groups and scores everything
  /// and allocates once. Costs a calibration pass; keeps no matrix.
  void measure_model(const walk::BlockWalk& walk);

  /// The groups of a site: of the measuring pass, else made now.
  [[nodiscard]] SiteGroups groups_of(const walk::SiteInput& input, bool keep_affinity,
                                     std::map<std::string, double>& timings);

  /// \param timings  adds to "alloc".
  [[nodiscard]] LinearPlan plan(const model::LinearInfo& linear, const torch::Tensor& weight,
                                const SiteGroups& groups, const ChannelMoments& moments,
                                std::map<std::string, double>& timings) const;

  /// Whether the target counts what is stored, so that a compressed matrix must be checked.
  [[nodiscard]] bool counts_storage() const { return goal_.stored_bits.has_value(); }

  /// New widths for a linear whose stored size missed the plan, from what its mask keeps.
  /// \param budget_bits  of the stored size, at most plan.budget_bits.
  [[nodiscard]] std::vector<int> replan(const LinearPlan& plan, const torch::Tensor& pruned,
                                        std::int64_t budget_bits) const;

  [[nodiscard]] const WidthOptions& options() const { return goal_.widths; }

 private:
  [[nodiscard]] double target_bits(const model::LinearInfo& linear) const;
  [[nodiscard]] std::int64_t budget_of(const model::LinearInfo& linear) const;
  [[nodiscard]] alloc::BitTarget target_of(const StoredLinear& linear,
                                           std::int64_t budget_bits) const;
  void require_reachable(const model::Model& model) const;
  void measure_site(model::Block& block, const walk::SiteInput& input,
                    std::map<std::string, double>& timings);
  void allocate_model(std::map<std::string, double>& timings);

  WidthGoal goal_;
  std::map<std::pair<std::int64_t, model::Site>, SiteGroups> measured_sites_;
  std::map<std::string, LinearPlan> measured_;  // by linear name
};

/// The moments of a site's channels that importance needs.
[[nodiscard]] ChannelMoments channel_moments(const calib::LayerStats& stats,
                                             const torch::Tensor& inverse_diagonal);

}  // namespace sgpt_mi::widths

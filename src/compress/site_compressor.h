#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "layer_description.h"
#include "level_budget.h"
#include "result_keeper.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/drift/correct_drift.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/width_planner.h"
#include "site_journal.h"

namespace sgpt_mi::compress {

/// Compresses the linears of one site after another, or of several sites together on several ranks.
class SiteCompressor {
 public:
  /// One sparsity and one width for all.
  explicit SiteCompressor(const BlockRun& run)
      : run_(run), journal_(run.journal, run.world), results_(run) {}
  /// Widths as the planner gives them.
  SiteCompressor(const BlockRun& run, widths::WidthPlanner& planner)
      : run_(run), planner_(&planner), journal_(run.journal, run.world), results_(run) {}
  /// Sparsities and widths of a measured plan, which names every selected linear.
  /// \param levels  of a plan of levels, else null.
  SiteCompressor(const BlockRun& run, const planning::RdPlan& plan, LevelBudget* levels)
      : run_(run),
        rd_plan_(&plan),
        levels_(levels),
        journal_(run.journal, run.world),
        results_(run) {}

  /// Whether the site was finished by a process before this one: handle() then needs no statistics.
  [[nodiscard]] bool knows(std::int64_t layer, model::Site site) {
    return journal_.knows(layer, site);
  }

  /// Compresses the selected linears that read the sites, every rank its share of them, and
  /// replaces them in the block; those of a site that knows() found are taken from the journal.
  void handle(model::Block& block, std::span<walk::SiteInput> inputs);

  [[nodiscard]] ResultKeeper& results() { return results_; }

 private:
  /// What the linears of one site share.
  struct SiteWork {
    const walk::SiteInput& input;
    obs::PreparedInput prepared;
    widths::SiteGroups groups;
    widths::ChannelMoments moments;  ///< with a planner only
    InputFigures figures;
    std::optional<drift::SiteDrift> drift;
  };

  /// A site at work.
  struct SiteTask {
    walk::SiteInput& input;
    std::vector<model::LinearInfo> linears;  ///< the selected ones
    std::optional<SiteWork> work = {};       ///< made for the first linear of this rank
    SiteRecord record = {};                  ///< of what is done
  };

  /// A linear of a site at work.
  struct LinearTask {
    SiteTask& site;
    const model::LinearInfo& linear;
    double step = 0.0;        ///< of levels: of the first try
    ranks::World world = {};  ///< that work on it together
  };

  /// One compressed linear.
  struct LinearWork {
    obs::CompressOptions options;            ///< but for a planner's widths
    std::optional<double> drift;             ///< share of the drift correction, where there is one
    std::optional<widths::LinearPlan> plan;  ///< with a planner
    obs::CompressResult result;
    std::int64_t level_bits = 0;  ///< of levels
    SharedLevels coded = nullptr;
  };

  [[nodiscard]] torch::Tensor dense_weight(const model::Block& block,
                                           const model::LinearInfo& linear) const;
  [[nodiscard]] SiteWork prepare(const SiteTask& site);
  [[nodiscard]] drift::SiteDrift drift_of(const SiteTask& site,
                                          const obs::PreparedInput& prepared) const;
  void scale_channels(model::Block& block, SiteTask& site);
  void begin_block(std::int64_t layer);
  void compress_all(model::Block& block, std::vector<LinearTask> tasks);
  [[nodiscard]] obs::CompressOptions options_of(const LinearTask& task) const;
  [[nodiscard]] SiteRecord compress_linear(const model::Block& block, const LinearTask& task);
  void take(model::Block& block, const LinearTask& task, SiteRecord&& record);
  void accept(model::Block& block, const model::LinearInfo& linear, RecordedLinear&& done);
  [[nodiscard]] obs::CompressResult compress_matrix(const torch::Tensor& weight,
                                                    const SiteWork& work,
                                                    const obs::CompressOptions& options,
                                                    const std::string& name) const;
  [[nodiscard]] obs::CompressResult compress_planned(const torch::Tensor& weight,
                                                     const SiteWork& work, widths::LinearPlan& plan,
                                                     const model::LinearInfo& linear);
  void compress_levels(const torch::Tensor& weight, const LinearTask& task, LinearWork& done);
  [[nodiscard]] LinearWork compress_weight(const torch::Tensor& weight, const LinearTask& task,
                                           std::vector<std::string>& warnings);
  [[nodiscard]] std::optional<drift::DriftTarget> drift_target(const torch::Tensor& weight,
                                                               const LinearTask& task) const;
  [[nodiscard]] obs::CompressOptions planned_options(const LinearTask& task) const;
  [[nodiscard]] CodedCopy coded_copy(const obs::CompressResult& result, DType dtype) const;
  void restore(model::Block& block, const std::vector<model::LinearInfo>& linears,
               SiteRecord&& record);
  void warn_once(const std::string& text);

  const BlockRun& run_;
  std::int64_t layer_ = -1;  // that was begun last
  widths::WidthPlanner* planner_ = nullptr;
  const planning::RdPlan* rd_plan_ = nullptr;
  LevelBudget* levels_ = nullptr;
  SiteJournal journal_;
  ResultKeeper results_;
  std::int64_t done_ = 0;
  std::set<std::string> warned_;
};

}  // namespace sgpt_mi::compress

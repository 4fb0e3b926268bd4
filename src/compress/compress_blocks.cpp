#include "sgpt_mi/compress/compress_blocks.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "end_levels.h"
#include "end_matrices.h"
#include "rd_check.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/width_planner.h"
#include "site_compressor.h"

namespace sgpt_mi::compress {
namespace {

/// Tokens that the chosen estimator looks at; the Gaussian one needs sums only.
std::int64_t sample_tokens(const CompressionSettings& settings) {
  if (!settings.widths) return 0;
  const widths::GroupingOptions& grouping = settings.widths->grouping;
  const bool sampled = grouping.grouping != widths::Grouping::kChannels &&
                       grouping.estimator != mi::Estimator::kGaussian;
  return sampled ? grouping.sample_tokens : 0;
}

walk::BlockWalk walk_of(const BlockRun& run) {
  walk::BlockWalk walk{run.model,
                       run.placement,
                       run.windows,
                       run.settings.selection,
                       run.settings.true_sequential,
                       run.settings.batch_windows,
                       sample_tokens(run.settings),
                       run.timings};
  walk.dense_stream = run.settings.follows_dense();
  walk.residual_drift = run.settings.drift > 0.0 && run.settings.drift_residual;
  walk.activations = run.activations;
  walk.keeps_norms = !run.settings.channel_scaling;
  walk.world = run.world;
  return walk;
}

/// Embedding and head of a run, in blocks or as levels; null: they stay as they are.
struct Ends {
  const EndMatrices* blocks = nullptr;
  EndLevels* levels = nullptr;
};

/// Compresses all blocks, then tunes the model where that is asked for.
/// \param budget  of levels, or null; \param plan  or null.
BlockResult compress(const BlockRun& run, SiteCompressor compressor, const Ends& ends,
                     LevelBudget* budget, const planning::RdPlan* plan) {
  formats::MemoryStore student(run.saved_types);
  ResultKeeper& results = compressor.results();
  BlockResult of_ends;
  walk::BlockWalk walk = walk_of(run);
  std::optional<model::Model> embedding;
  if (ends.levels != nullptr) {
    ends.levels->compress(*plan, *budget, student, of_ends);
    walk.embedding = &embedding.emplace(run.model.spec(), student);
  }
  walk.knows = [&](std::int64_t layer, model::Site site) { return compressor.knows(layer, site); };
  walk::walk_blocks(walk, [&](model::Block& block, std::span<walk::SiteInput> inputs) {
    compressor.handle(block, inputs);
  });
  if (ends.blocks != nullptr && run.world.leads()) {
    ends.blocks->finish(plan, of_ends.block_types, results.tunes() ? &student : nullptr);
  }
  if (results.tunes()) results.tune(student);
  BlockResult result = results.take_result();
  result.block_types.merge(of_ends.block_types);
  result.ends = std::move(of_ends.ends);
  result.packed += of_ends.packed;
  return result;
}

/// The journal's record and file of what a plan is made of.
constexpr const char* kMeasurements = "measurements";
constexpr const char* kMeasurementsFile = "measurements.json";

/// What the journal has of measurements, unless its file is not the one that was kept.
std::optional<planning::Measurements> read_kept_measurements(const BlockRun& run) {
  if (run.journal == nullptr) return std::nullopt;
  const std::filesystem::path file = run.journal->file(kMeasurementsFile);
  const std::optional<nlohmann::json> hash = run.journal->find(kMeasurements);
  std::error_code not_there;
  if (!hash || !std::filesystem::exists(file, not_there)) return std::nullopt;
  const io::MappedFile mapped(file);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                              mapped.bytes().size());
  if (sha256_hex(text) != *hash) return std::nullopt;
  return planning::read_measurements(file);
}

/// The same on every rank.
std::optional<planning::Measurements> recall_measurements(const BlockRun& run) {
  std::optional<planning::Measurements> known = read_kept_measurements(run);
  if (run.world.alone()) return known;
  const nlohmann::json value =
      ranks::broadcast(run.world, known ? to_json(*known) : nlohmann::json(), 0);
  if (value.is_null()) return std::nullopt;
  return planning::measurements_of(value, "rank 0");
}

void keep_measurements(const BlockRun& run, const planning::Measurements& measurements) {
  const bool measured = !run.settings.types || run.settings.types->standard == nullptr;
  if (run.journal == nullptr || !measured) return;
  const std::string text = to_json(measurements).dump();
  io::write_file_atomic(run.journal->file(kMeasurementsFile), text);
  run.journal->keep(kMeasurements, sha256_hex(text));
}

BlockResult compress_by(const BlockRun& run, const planning::RdPlan& plan, const Ends& ends) {
  std::optional<LevelBudget> budget;
  if (plan.step > 0.0) budget.emplace(plan);
  LevelBudget* levels = budget ? &*budget : nullptr;
  return compress(run, SiteCompressor(run, plan, levels), ends, levels, &plan);
}

}  // namespace

BlockResult compress_planned_blocks(const BlockRun& run, const planning::RdPlan& plan) {
  return compress_by(run, plan, {});
}

BlockResult compress_blocks(const BlockRun& run) {
  ensure(run.settings.batch_windows >= 1,
         "compress: blocks are compressed in batches of no window");
  std::optional<EndMatrices> end_blocks;
  std::optional<EndLevels> end_levels;
  if (run.settings.types) end_blocks.emplace(run);
  if (!run.settings.level_ends.empty()) end_levels.emplace(run);
  const Ends ends{end_blocks ? &*end_blocks : nullptr, end_levels ? &*end_levels : nullptr};
  if (run.settings.plan) {
    const planning::PlanGoal goal = run.settings.goal();
    if (end_levels) end_levels->recall();
    const std::optional<planning::Measurements> known = recall_measurements(run);
    planning::Measurements measurements =
        known ? *known
              : planning::load_or_measure(
                    {run.model, run.placement, run.windows, run.settings.selection, goal,
                     run.settings.batch_windows, run.activations, run.timings, run.measurement_key,
                     end_levels ? &end_levels->moments() : nullptr, run.world});
    if (end_levels) end_levels->measure(measurements);
    if (end_blocks) {
      end_blocks->measure(measurements);
      const std::string& path = run.settings.plan->measurements;
      if (!path.empty() && run.world.leads()) planning::write_measurements(measurements, path);
    }
    if (!known) keep_measurements(run, measurements);
    return compress_by(
        run, choose_plan(run, planning::make_plans(measurements, goal, run.stored_bits)), ends);
  }
  if (!run.settings.widths) return compress(run, SiteCompressor(run), ends, nullptr, nullptr);
  widths::WidthPlanner planner(
      {*run.settings.widths, run.settings.matrix, run.settings.selection, run.stored_bits},
      run.model);
  if (run.settings.widths->target.over_model) planner.measure_model(walk_of(run));
  return compress(run, SiteCompressor(run, planner), ends, nullptr, nullptr);
}

}  // namespace sgpt_mi::compress

#include "rd_check.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/eval/perplexity.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

/// Share of the KL that a plan must save to be taken instead of a plainer one.
constexpr double kLeastSaving = 0.02;

/// The journal's record of the plan that was taken, its place in the list.
constexpr const char* kPlanChoice = "plan-choice";

/// What makes every plan better alike is left out: the descents, and drift correction and tuning,
/// which need a second stream.
CompressionSettings trial_settings(const CompressionSettings& settings) {
  CompressionSettings trial = settings;
  trial.drift = 0.0;
  trial.drift_residual = false;
  trial.tune = 0;
  trial.matrix.refine = {};
  trial.matrix.refine.weighted_clip = settings.matrix.refine.weighted_clip;
  return trial;
}

class Trials {
 public:
  Trials(const BlockRun& run, const planning::WindowSplit& split)
      : run_(run),
        measured_(text::first_windows(run.windows, split.measured)),
        held_out_(text::last_windows(run.windows, split.held_out)),
        settings_(trial_settings(run.settings)) {
    eval::PerplexityOptions options{run.placement, run.settings.batch_windows, {}, &dense_, {}};
    options.world = run.world;
    static_cast<void>(eval::perplexity(run.model, held_out_, options));
  }

  /// KL of every plan's model from the dense one on the held-out windows, nats a token. Each rank
  /// tries other plans, by itself: a trial has too few windows to be shared.
  [[nodiscard]] std::vector<double> score(const std::vector<planning::RdPlan>& plans) const;

 private:
  [[nodiscard]] double score(const planning::RdPlan& plan) const {
    formats::MemoryStore store(run_.saved_types);
    report::Events events;  // a trial's layers and progress interest nobody
    std::map<std::string, double> timings;
    BlockRun trial{
        run_.model,      run_.placement,   measured_, settings_, run_.holds_codes, run_.stored_bits,
        false,           run_.saved_types, store,     events,    timings,          {},
        run_.activations};
    static_cast<void>(compress_planned_blocks(trial, plan));
    model::Model compressed(run_.model.spec(), store);
    const eval::PerplexityOptions options{
        run_.placement, run_.settings.batch_windows, {}, nullptr, false, &dense_};
    return eval::perplexity(compressed, held_out_, options).divergence.value().kl_mean;
  }

  const BlockRun& run_;
  text::TokenWindows measured_;
  text::TokenWindows held_out_;
  CompressionSettings settings_;
  eval::FinalStates dense_;
};

std::vector<double> Trials::score(const std::vector<planning::RdPlan>& plans) const {
  const auto ranks = static_cast<std::size_t>(run_.world.size());
  const auto rank = static_cast<std::size_t>(run_.world.rank());
  std::vector<double> all;
  for (std::size_t first = 0; first < plans.size(); first += ranks) {
    // A rank without a plan tries the last one too: where weights are broadcast, all read alike.
    const double mine = score(plans[std::min(first + rank, plans.size() - 1)]);
    for (std::size_t other = 0; other < ranks && first + other < plans.size(); ++other) {
      const nlohmann::json told =
          ranks::broadcast(run_.world, nlohmann::json(mine), static_cast<int>(other));
      all.push_back(told.get<double>());
    }
  }
  return all;
}

}  // namespace

planning::RdPlan choose_plan(const BlockRun& run, std::vector<planning::RdPlan> plans) {
  const planning::WindowSplit split =
      planning::split_windows(run.windows.windows, *run.settings.plan);
  if (plans.size() == 1) return std::move(plans.front());
  if (split.held_out == 0) {
    return std::move(*std::min_element(plans.begin(), plans.end(), planning::least_damage_first));
  }
  nlohmann::json chosen;
  if (run.journal != nullptr) chosen = run.journal->find(kPlanChoice).value_or(nullptr);
  chosen = ranks::broadcast(run.world, std::move(chosen), 0);
  if (!chosen.is_null()) return std::move(plans.at(chosen.get<std::size_t>()));
  const walk::StageTimer timer(run.timings, "plan_check");
  const std::vector<double> divergence = Trials(run, split).score(plans);
  std::size_t best = 0;
  double least = 0.0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    run.events.result(fmt::format(
        "plan {}: predicted damage {:.5f}, KL {:.5f} on {} held-out windows, of a plain "
        "compression",
        plans[i].name, plans[i].predicted_damage, divergence[i], split.held_out));
    if (i > 0 && divergence[i] >= (1.0 - kLeastSaving) * least) continue;
    least = divergence[i];
    best = i;
  }
  if (run.journal != nullptr) run.journal->keep(kPlanChoice, best);
  return std::move(plans[best]);
}

}  // namespace sgpt_mi::compress

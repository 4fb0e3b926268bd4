#include "rank_plan.h"

#include <spdlog/fmt/fmt.h>

#include <string>

#include "format_fit.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/costs/rank_costs.h"
#include "sgpt_mi/planning/plan_options.h"

namespace sgpt_mi::pipeline {
namespace {

costs::CostQuestion cost_question(const CompressRun& run, const PreparedRun& prepared) {
  const compress::CompressionSettings& settings = run.compression;
  const Session& session = prepared.session;
  const text::TokenWindows& windows = prepared.calibration.windows;
  costs::CostQuestion question{session.model,
                               session.calibration(settings.channel_scaling.has_value()).dtype};
  question.windows = windows.windows;
  question.seqlen = windows.seqlen;
  question.batch_windows = prepared.memory.batch_windows;
  if (settings.plan) {
    question.measured_windows = planning::split_windows(windows.windows, *settings.plan).measured;
    question.backward_pass = settings.plan->sensitivity == planning::Sensitivity::kFisher;
  }
  question.true_sequential = settings.true_sequential;
  question.dense_stream = settings.follows_dense();
  question.residual_drift = settings.drift > 0.0 && settings.drift_residual;
  const obs::RefineOptions& refine = settings.matrix.refine;
  const auto support = settings.matrix.prunes() ? refine.l0_sweeps + refine.refit_iterations : 0;
  question.descents =
      static_cast<double>(support + refine.polish_sweeps * (refine.scale_step ? 2 : 1));
  const bool levels = settings.entropy && settings.plan;
  const std::string first = session.model.block_linears(0).front().name + ".weight";
  const DType saved = saved_types(session, settings).dtype_of(first);
  const std::int64_t code = levels ? 2 : settings.quantizes() ? 1 : 0;
  question.result_bytes = static_cast<std::int64_t>(dtype_size(saved)) + 1 + code;  // 1: the mask
  compress::CompressionSettings placed = settings;
  placed.matrix.rows = session.rows_for(settings.matrix);
  question.product_rows = placed.shared_rows();
  // Float32 values; of levels also the values that they are fitted to, and those of every polish.
  question.row_bytes = 4 + 1 + code + (settings.drift > 0.0 ? 4 : 0);
  if (levels) question.row_bytes += 2 * settings.matrix.refine.polish_sweeps;
  for (const text::EvalSet& set : prepared.eval_sets) {
    question.scored_tokens += set.windows.windows * set.windows.seqlen;
  }
  return question;
}

bool takes_all_linears(const PreparedRun& prepared) {
  const model::Model& model = prepared.session.model;
  const auto linears = static_cast<std::int64_t>(model.block_linears(0).size());
  return prepared.selected_linears == linears * model.spec().layers;
}

}  // namespace

void tell_ranks(const CompressRun& run, const PreparedRun& prepared, report::Events& events) {
  const int ranks = run.model.ranks();
  const bool planned = run.model.planned_ranks > 0;
  if (ranks == 1 && !planned) return;
  const costs::CostQuestion question = cost_question(run, prepared);
  const bool on_gpu = prepared.session.placement.device.is_cuda();
  costs::Rates rates;
  if (planned) rates = on_gpu ? costs::gpu_rates() : costs::measured_rates(question.walk_type);
  const costs::RankCosts costs = costs::rank_costs(question, rates, ranks);
  if (ranks > 1) {
    events.plan(fmt::format(
        "ranks      {}: a block sends {} of sums and {} of compressed weights, the compression {}",
        ranks, human_bytes(costs.sum_bytes), human_bytes(costs.result_bytes),
        human_bytes(costs.all_bytes)));
  }
  if (!planned) return;
  const auto describe = [&](const costs::RankCosts& counted) {
    std::string text = fmt::format("{:.3g} s (", counted.total());
    for (const auto& [stage, seconds] : counted.seconds) {
      text += fmt::format("{}{} {:.3g}", text.back() == '(' ? "" : ", ", stage, seconds);
    }
    return text + ")";
  };
  const std::string alone = describe(ranks > 1 ? costs::rank_costs(question, rates, 1) : costs);
  events.plan("time       counted, not measured, with " + rates.source);
  events.plan("           1 rank " + alone);
  if (ranks > 1) {
    events.plan(fmt::format("           {} ranks, each on a machine of its own, {}", ranks,
                            describe(costs)));
  }
}

std::map<std::string, double> counted_operations(const CompressRun& run,
                                                 const PreparedRun& prepared) {
  if (!takes_all_linears(prepared)) return {};
  const costs::Rates one_per_second{1.0, 1.0, 1.0, 1.0, 1.0, 0.0, {}};
  std::map<std::string, double> operations;
  for (const auto& [stage, count] :
       costs::rank_costs(cost_question(run, prepared), one_per_second, 1).seconds) {
    if (stage == "forward" || stage == "H" || stage == "OBS") operations[stage] = count;
  }
  return operations;
}

std::optional<std::int64_t> planned_exchange(const CompressRun& run, const PreparedRun& prepared) {
  if (run.compression.plan || run.model.broadcast_weights || !takes_all_linears(prepared)) {
    return std::nullopt;
  }
  return costs::rank_costs(cost_question(run, prepared), {}, run.model.ranks()).all_bytes;
}

}  // namespace sgpt_mi::pipeline

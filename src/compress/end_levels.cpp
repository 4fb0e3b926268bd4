#include "end_levels.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "coded_copy.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/obs/curves.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/ranks/lanes.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

/// Rows compressed at a time: a table of 128,256 rows of 4,096 would take 2 GB a temporary.
constexpr std::int64_t kRowsAtOnce = 4096;

bool is_head(const formats::MatrixShape& matrix) { return matrix.name.ends_with("lm_head"); }

/// Of their record in a journal.
constexpr const char* kMoments = "end-moments";

std::array<std::pair<const char*, torch::Tensor*>, 4> named(planning::EndMoments& moments) {
  return {{{"hidden", &moments.hidden},
           {"logit", &moments.logit},
           {"probability", &moments.probability},
           {"gradient", &moments.gradient}}};
}

double trace_of(const torch::Tensor& matrix) { return matrix.trace().item<double>(); }

}  // namespace

EndLevels::EndLevels(const BlockRun& run) : run_(run) {
  for (const formats::MatrixShape& shape : run.settings.level_ends)
    ends_.push_back({shape, {}, {}});
}

torch::Tensor EndLevels::weight_of(const formats::MatrixShape& shape) const {
  return model::to_torch(run_.saved_types.read(shape.tensor()));
}

void EndLevels::weigh(End& end) const {
  torch::Tensor rows;
  torch::Tensor moment;
  const double logits = moments_.logit.sum().item<double>();
  const double tokens = moments_.probability.sum().item<double>();
  if (is_head(end.shape)) {
    rows = moments_.logit;
    moment = moments_.hidden;
  } else if (!run_.model.spec().tied_head) {
    rows = moments_.probability;
    moment = moments_.gradient;
  } else {
    rows = moments_.logit * trace_of(moments_.hidden) +
           moments_.probability * trace_of(moments_.gradient);
    moment = (moments_.hidden * logits + moments_.gradient * tokens) / rows.sum();
  }
  const torch::Tensor doubted = rows.sqrt();
  end.row_weight = obs::floored_row_weight(doubted * (rows.mean() / doubted.mean()));
  // The scale of calib::LayerStats::hessian().
  const double scale = 2.0 * static_cast<double>(run_.windows.seqlen);
  end.input = obs::prepare_input((moment * scale).to(torch::kFloat32), run_.settings.matrix,
                                 end.shape.name);
}

void EndLevels::recall() {
  const auto file = run_.journal != nullptr ? run_.journal->tensors(kMoments) : nullptr;
  std::vector<torch::Tensor> kept;
  for (const auto& [name, moment] : named(moments_)) {
    kept.push_back(file != nullptr ? model::to_torch(file->read(name)) : torch::Tensor());
  }
  kept = ranks::broadcast(run_.world, std::move(kept), 0, torch::kCPU);
  auto next = kept.begin();
  for (const auto& [_, moment] : named(moments_)) *moment = *next++;
}

/// Makes the moments, where the measuring pass did not.
void EndLevels::complete_moments() {
  if (!moments_.gradient.defined()) {
    moments_ = {};
    const text::TokenWindows windows = text::first_windows(
        run_.windows, planning::split_windows(run_.windows.windows, *run_.settings.plan).measured);
    const walk::LayerSelection all;
    static_cast<void>(planning::output_fisher({run_.model, run_.placement, windows, windows.windows,
                                               all, 1, run_.timings, &moments_, run_.world}));
  }
  if (run_.journal == nullptr || run_.journal->find(kMoments)) return;
  std::vector<containers::TensorData> tensors;
  for (const auto& [name, moment] : named(moments_)) {
    tensors.push_back(model::to_tensor_data(name, *moment));
  }
  run_.journal->keep(kMoments, nullptr, tensors);
}

void EndLevels::measure(planning::Measurements& measurements) {
  const walk::StageTimer timer(run_.timings, "end_matrices");
  complete_moments();
  const double per_token = 0.5 / static_cast<double>(run_.windows.seqlen);
  measurements.ends.clear();
  for (End& end : ends_) {
    check_interrupt();
    weigh(end);
    planning::LinearCurves& curves = measurements.ends.emplace_back();
    curves.name = end.shape.name;
    curves.rows = end.shape.rows;
    curves.columns = end.shape.columns;
    curves.unit_of_column.assign(static_cast<std::size_t>(curves.columns), 0);
    planning::LevelCurve curve{
        0.0, obs::measure_levels(weight_of(end.shape), {},
                                 {end.input, run_.settings.matrix, end.row_weight})};
    for (obs::LevelPoint& point : curve.points) point.damage *= 0.5 * per_token;
    curves.levels.push_back(std::move(curve));
    const double* first = end.row_weight.const_data_ptr<double>();
    curves.row_weight.assign(first, first + end.row_weight.numel());
  }
}

/// Every rank compresses some pieces of the rows; all have all of them.
obs::CompressedMatrix EndLevels::compress_rows(const End& end, double step) const {
  const torch::Tensor matrix = weight_of(end.shape);
  obs::CompressOptions options = run_.settings.matrix;
  options.sparsity = 0.0;
  options.prune_n = options.prune_m = 0;
  const int exponent = quant::scale_exponent_for(end.row_weight.rsqrt().to(torch::kFloat32));
  std::vector<torch::Tensor> levels;
  std::vector<torch::Tensor> row_steps;
  std::vector<torch::Tensor> values;
  const auto gather = [&](const std::vector<torch::Tensor>& parts) {
    return ranks::gather_rows(run_.world, parts.empty() ? torch::Tensor() : at::cat(parts),
                              run_.placement.device);
  };
  obs::CompressedMatrix result;
  const ranks::Range mine = ranks::part_of((end.shape.rows + kRowsAtOnce - 1) / kRowsAtOnce,
                                           run_.world.size(), run_.world.rank());
  for (std::int64_t piece = mine.first; piece < mine.end; ++piece) {
    check_interrupt();
    const std::int64_t first = piece * kRowsAtOnce;
    const std::int64_t count = std::min(kRowsAtOnce, end.shape.rows - first);
    options.row_weight = end.row_weight.narrow(0, first, count);
    options.levels = obs::LevelOptions{step, exponent};
    obs::CompressedMatrix part =
        obs::compress_sparsegpt(matrix.narrow(0, first, count), end.input, options, end.shape.name)
            .matrix;
    levels.push_back(std::move(part.levels));
    row_steps.push_back(part.level_grid->row_step);
    values.push_back(part.weight.to(matrix.scalar_type()));
    if (!result.level_grid) result.level_grid = std::move(part.level_grid);
  }
  result.levels = gather(levels);
  result.weight = gather(values);
  row_steps = {gather(row_steps)};
  if (result.level_grid) result.level_grid->row_step = row_steps.front();
  return result;
}

void EndLevels::compress(const planning::RdPlan& plan, LevelBudget& budget,
                         formats::WeightStore& copy, BlockResult& result) {
  const walk::StageTimer timer(run_.timings, "end_matrices");
  for (const End& end : ends_) {
    const bool counts = plan.linears.contains(end.shape.name);
    const double step = counts ? budget.step_for(end.shape.name) : plan.step;
    const obs::CompressedMatrix matrix = compress_rows(end, step);
    const containers::TensorData dense = model::to_tensor_data(end.shape.tensor(), matrix.weight);
    copy.put(dense);
    const std::int64_t bytes =
        ranks::broadcast(run_.world, run_.world.leads() ? store(end, matrix, dense, result) : 0, 0);
    if (counts) budget.settle(end.shape.name, step, 8 * bytes);
  }
}

/// Hands a matrix to the run's store; bytes that it takes there.
std::int64_t EndLevels::store(const End& end, const obs::CompressedMatrix& matrix,
                              const containers::TensorData& dense, BlockResult& result) const {
  const CodedCopy coded(matrix, matrix.weight, run_.settings.matrix,
                        model::from_scalar_type(matrix.weight.scalar_type()), true);
  const packing::PackedSize size = coded.size(end.shape.name, run_.settings.grids);
  if (run_.store.takes_codes()) {
    run_.store.put_matrix(end.shape.name, coded.view(), size);
  } else {
    run_.store.put(dense);
  }
  result.packed += size;
  result.ends.push_back({end.shape.name, end.shape.rows, end.shape.columns, size.total()});
  return size.total();
}

}  // namespace sgpt_mi::compress

#include "result_keeper.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

using model::LinearInfo;

/// Windows a step of tuning: with more of them there are fewer steps.
constexpr std::int64_t kWindowsAStep = 2;

}  // namespace

const report::LayerReport& ResultKeeper::last_layer() const {
  return tunes() && run_.world.leads() ? pending_.layers.back() : result_.layers.back();
}

/// Hands a linear on, or keeps it for the tuning.
void ResultKeeper::take(tuning::CompressedLinear&& done, report::LayerReport layer,
                        const SharedLevels& coded) {
  if (!run_.world.leads()) return result_.layers.push_back(std::move(layer));
  if (!tunes()) return finish_linear(done, std::move(layer), coded);
  pending_.linears.push_back(std::move(done));
  pending_.layers.push_back(std::move(layer));
}

void ResultKeeper::take(const std::string& name, const torch::Tensor& rounded) {
  if (!run_.world.leads()) return;
  if (tunes()) {
    pending_.tensors.insert_or_assign(name, rounded);
  } else {
    run_.store.put(model::to_tensor_data(name, rounded));
  }
}

/// Hands a linear in blocks to the store; bytes that it takes there.
std::int64_t ResultKeeper::store_blocks(const tuning::CompressedLinear& done) {
  const walk::StageTimer packing(run_.timings, "pack", done.linear.name);
  const std::vector<std::byte> bytes = quant::encode_blocks(done.matrix.codes, *done.matrix.blocks);
  if (run_.store.takes_blocks()) {
    run_.store.put_blocks(done.linear.name,
                          {done.matrix.blocks->type, done.linear.rows, done.linear.columns, bytes});
  } else {
    run_.store.put(
        model::to_tensor_data(done.linear.name + ".weight", rounded(done.linear, done.matrix)));
  }
  result_.block_types[done.linear.name] = done.matrix.blocks->type;
  return static_cast<std::int64_t>(bytes.size());
}

/// The values in their saved type.
torch::Tensor ResultKeeper::rounded(const LinearInfo& linear,
                                    const obs::CompressedMatrix& matrix) const {
  const DType saved = run_.saved_types.dtype_of(linear.name + ".weight");
  return matrix.weight.to(model::to_scalar_type(saved));
}

/// Hands a linear to the store; bytes that it takes there.
std::int64_t ResultKeeper::store_linear(const tuning::CompressedLinear& done,
                                        const SharedLevels& coded) {
  if (done.matrix.blocks) return store_blocks(done);
  const torch::Tensor values = rounded(done.linear, done.matrix);
  const auto put_dense = [&] {
    run_.store.put(model::to_tensor_data(done.linear.name + ".weight", values));
  };
  if (!run_.holds_codes) {
    put_dense();
    return static_cast<std::int64_t>(values.nbytes());
  }
  const walk::StageTimer packing(run_.timings, "pack", done.linear.name);
  const CodedCopy copy(done.matrix, values, run_.settings.matrix,
                       model::from_scalar_type(values.scalar_type()), run_.settings.entropy, coded);
  const packing::PackedSize size = copy.size(done.linear.name, run_.settings.grids);
  if (run_.store.takes_codes()) {
    run_.store.put_matrix(done.linear.name, copy.view(), size);
  } else {
    put_dense();
  }
  result_.packed += size;
  return size.total();
}

void ResultKeeper::finish_linear(const tuning::CompressedLinear& done, report::LayerReport layer,
                                 const SharedLevels& coded) {
  std::map<std::string, double> clock;
  const walk::StageTimer timer(clock, "store", done.linear.name);
  const auto weights = static_cast<double>(done.linear.rows * done.linear.columns);
  const packing::PackedSize before = result_.packed;
  layer.stored_bits = 8.0 * static_cast<double>(store_linear(done, coded)) / weights;
  if (run_.settings.entropy) {
    const std::int64_t bytes =
        result_.packed.codes + result_.packed.tables - before.codes - before.tables;
    layer.average_bits = 8.0 * static_cast<double>(bytes) / weights;
    layer.coded = true;
  }
  layer.seconds += timer.seconds();
  result_.layers.push_back(std::move(layer));
}

void ResultKeeper::report_tuning(const tuning::TunedModel& tuned) {
  result_.tuning =
      report::TuningReport{run_.settings.tune, tuned.kl_before, tuned.kl_after, tuned.kept};
  if (tuned.kept) return;
  run_.events.warning(fmt::format(
      "tune: {} windows took the divergence on the windows kept apart from {:.4f} to {:.4f} nats; "
      "the model stays as it was",
      run_.settings.tune, tuned.kl_before, tuned.kl_after));
}

namespace {

/// Tells the ranks that wait for a tuning that it goes on: they would take the time for a hang.
void tell_still_tuning(const ranks::World& world, bool tuning) {
  if (!world.alone()) static_cast<void>(ranks::broadcast(world, nlohmann::json(tuning), 0));
}

}  // namespace

void ResultKeeper::tune(formats::MemoryStore& student) {
  if (!run_.world.leads()) {
    while (ranks::broadcast(run_.world, nlohmann::json(), 0).get<bool>()) check_interrupt();
    return;
  }
  for (const auto& [name, value] : pending_.tensors) {
    student.put(model::to_tensor_data(name, value));
  }
  {
    const walk::StageTimer timer(run_.timings, "tune");
    model::Model student_model(run_.model.spec(), student);
    const text::TokenWindows windows = text::first_windows(run_.windows, run_.settings.tune);
    const tuning::TunedModel tuned =
        tuning::tune_model({run_.model, student_model, run_.placement, windows, run_.saved_types,
                            std::min(kWindowsAStep, run_.settings.batch_windows),
                            [&](std::int64_t done, std::int64_t total) {
                              if (done == 0) run_.events.stage("tune", total);
                              if (done > 0) run_.events.progress(done);
                              tell_still_tuning(run_.world, true);
                            }},
                           pending_.linears);
    for (const auto& [name, value] : tuned.tensors) pending_.tensors.insert_or_assign(name, value);
    report_tuning(tuned);
  }
  for (const auto& [name, value] : pending_.tensors) {
    run_.store.put(model::to_tensor_data(name, value));
  }
  for (std::size_t i = 0; i < pending_.linears.size(); ++i) {
    finish_linear(pending_.linears[i], std::move(pending_.layers[i]), /*coded=*/nullptr);
  }
  pending_ = {};
  tell_still_tuning(run_.world, false);
}

}  // namespace sgpt_mi::compress

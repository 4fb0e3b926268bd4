#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "support/row_placements.h"
#include "support/silent_events.h"
#include "support/thread_ranks.h"

// A whole compression of the demo model with the rows of its matrices (128 or 512) shared by three
// "devices" that are all the CPU, or by two ranks: what is kept has the bytes that it has with one.
namespace sgpt_mi::compress {
namespace {

struct Compressed {
  std::map<std::string, torch::Tensor> tensors;
  std::vector<double> losses;
};

text::TokenWindows some_windows() {
  text::TokenWindows windows{{}, 6, 32};
  for (int i = 0; i < 6 * 32; ++i) windows.ids.push_back((7 * i * i + 3 * i) % 2048);
  return windows;
}

using BeforeBlock = std::function<void(double left)>;

Compressed compress(CompressionSettings settings, std::size_t devices,
                    const ranks::World& world = {}, const BeforeBlock& before_block = {}) {
  settings.matrix.rows = {std::vector<torch::Device>(devices, torch::kCPU), 64};
  settings.batch_windows = 4;
  settings.validate();
  const formats::Checkpoint checkpoint =
      formats::open_checkpoint(formats::locate_model(SGPT_MI_SOURCE_DIR "/scripts/demo_model"));
  model::Model model(checkpoint);
  const text::TokenWindows windows = some_windows();
  const formats::SavedTypes types(checkpoint);
  formats::MemoryStore store(types);
  test::SilentEvents events;
  std::map<std::string, double> timings;
  BlockRun run{model, {},    windows, settings, /*holds_codes=*/false, std::nullopt, false,
               types, store, events,  timings};
  run.world = world;
  run.before_block = before_block;
  const BlockResult result = compress_blocks(run);
  Compressed done;
  for (const report::LayerReport& layer : result.layers) {
    done.losses.push_back(layer.loss);
    const std::string name = layer.name + ".weight";
    done.tensors[name] = model::to_torch(store.read(name)).clone();
  }
  return done;
}

void expect_no_trace(const CompressionSettings& settings, std::size_t linears) {
  const Compressed one = compress(settings, 1);
  const Compressed three = compress(settings, 3);
  ASSERT_EQ(one.tensors.size(), linears);
  EXPECT_EQ(three.losses, one.losses);
  for (const auto& [name, tensor] : one.tensors) {
    EXPECT_TRUE(test::same_bytes(three.tensors.at(name), tensor)) << name;
  }
}

TEST(BlockRuns, TellBeforeEachBlockWhatShareIsLeftAndEndWhenThatThrows) {
  CompressionSettings settings;
  settings.method = Method::kMagnitude;
  settings.matrix.sparsity = 0.5;
  settings.true_sequential = true;  // a block is handled site by site
  std::vector<double> left;
  static_cast<void>(compress(settings, 1, {}, [&](double share) { left.push_back(share); }));
  EXPECT_EQ(left, (std::vector<double>{1.0, 0.75, 0.5, 0.25}));
  const auto refuse = [](double share) {
    if (share < 0.6) fail(ErrorKind::kInput, "the disk has filled");
  };
  EXPECT_THROW(static_cast<void>(compress(settings, 1, {}, refuse)), Error);
}

TEST(SharedRows, LeaveNoTraceInASparseGptRun) {
  CompressionSettings settings;
  settings.matrix.sparsity = 0.5;
  settings.matrix.wbits = 4;
  expect_no_trace(settings, 24);
}

/// rd on one block, one plan, compressed once.
CompressionSettings measured_plan() {
  CompressionSettings settings;
  settings.method = Method::kRd;
  settings.selection.max_layer = 1;
  settings.true_sequential = true;
  settings.drift = 1.0;
  settings.matrix.wbits = 4;
  settings.matrix.refine = {2, 4, true, true, 2, true};
  settings.plan.emplace();
  settings.plan->windows = 3;
  settings.plan->check_windows = 0;
  return settings;
}

TEST(SharedRows, LeaveNoTraceInAMeasuredPlan) {
  CompressionSettings settings = measured_plan();
  settings.matrix.sparsity = 0.5;
  settings.matrix.stored_scales = true;
  settings.plan->widths.levels = {3, 4, 6};
  settings.plan->widths.target.average_bits = 4.0;
  expect_no_trace(settings, 6);
}

TEST(SharedRows, LeaveNoTraceInLevelsOfABudgetOnTwoRanks) {
  CompressionSettings settings = measured_plan();
  settings.entropy = true;
  settings.plan->widths.target.stored_bits = 3.5;
  for (const double sparsity : {0.0, 0.5}) {
    settings.matrix.sparsity = sparsity;
    const Compressed one = compress(settings, 0);
    ASSERT_EQ(one.tensors.size(), 6U);
    test::on_ranks(2, [&](const ranks::World& world) {
      const Compressed shared = compress(settings, 0, world);
      EXPECT_EQ(shared.losses, one.losses) << world.rank();
      if (!world.leads()) return;  // which keeps the result
      for (const auto& [name, tensor] : one.tensors) {
        EXPECT_TRUE(test::same_bytes(shared.tensors.at(name), tensor)) << name;
      }
    });
  }
}

}  // namespace
}  // namespace sgpt_mi::compress

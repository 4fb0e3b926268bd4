#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "support/row_placements.h"
#include "support/silent_events.h"

// A whole compression of the demo model with the rows of its matrices (128 or 512) shared by three
// "devices" that are all the CPU: what is kept has the bytes that it has with one.
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

Compressed compress(CompressionSettings settings, std::size_t devices) {
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
  const BlockResult result = compress_blocks({model,
                                              {},
                                              windows,
                                              settings,
                                              /*holds_codes=*/false,
                                              std::nullopt,
                                              false,
                                              types,
                                              store,
                                              events,
                                              timings});
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

TEST(SharedRows, LeaveNoTraceInASparseGptRun) {
  CompressionSettings settings;
  settings.matrix.sparsity = 0.5;
  settings.matrix.wbits = 4;
  expect_no_trace(settings, 24);
}

TEST(SharedRows, LeaveNoTraceInAMeasuredPlan) {
  CompressionSettings settings;
  settings.method = Method::kRd;
  settings.selection.max_layer = 1;
  settings.true_sequential = true;
  settings.drift = 1.0;
  settings.matrix.sparsity = 0.5;
  settings.matrix.wbits = 4;
  settings.matrix.stored_scales = true;
  settings.matrix.refine = {2, 4, true, true, 2, true};
  settings.plan.emplace();
  settings.plan->windows = 3;
  settings.plan->check_windows = 0;  // one plan, compressed once
  settings.plan->widths.levels = {3, 4, 6};
  settings.plan->widths.target.average_bits = 4.0;
  expect_no_trace(settings, 6);
}

}  // namespace
}  // namespace sgpt_mi::compress

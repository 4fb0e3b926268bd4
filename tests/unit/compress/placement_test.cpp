// Where activations lie changes nothing, and every activation is computed once.
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/walk/block_walk.h"
#include "support/silent_events.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace sgpt_mi::compress {
namespace {

using test::TemporaryFolder;

/// A tiny model with windows for it.
struct Scene {
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
  text::TokenWindows windows{{}, 7, 8};

  Scene(nlohmann::json config, test::MemorySource tensors) {
    checkpoint.config = std::move(config);
    checkpoint.tensors = std::make_unique<test::MemorySource>(std::move(tensors));
    model = std::make_unique<model::Model>(checkpoint);
    for (int i = 0; i < 56; ++i) windows.ids.push_back((i * i + 3 * i) % 11);
  }
};

std::vector<Scene> scenes() {
  std::vector<Scene> all;
  all.emplace_back(test::tiny_llama_config(), test::tiny_llama_tensors());
  all.emplace_back(test::tiny_opt_config(), test::tiny_opt_tensors());
  return all;
}

CompressionSettings sparsegpt() {
  CompressionSettings settings;
  settings.matrix.sparsity = 0.5;
  settings.matrix.wbits = 4;
  settings.batch_windows = 2;
  return settings;
}

CompressionSettings in_sequence() {
  CompressionSettings settings = sparsegpt();
  settings.true_sequential = true;
  return settings;
}

CompressionSettings rd() {
  CompressionSettings settings = in_sequence();
  settings.method = Method::kRd;
  settings.drift = 1.0;
  settings.drift_residual = true;
  settings.matrix.refine.l0_sweeps = 1;
  settings.matrix.refine.polish_sweeps = 1;
  settings.plan.emplace();
  settings.plan->windows = 3;
  settings.plan->check_windows = 1;
  settings.plan->widths.grouping.groups = 1;
  return settings;
}

CompressionSettings tuned() {
  CompressionSettings settings = in_sequence();
  settings.channel_scaling = 0.5;
  settings.tune = 4;
  return settings;
}

/// All tensors of the compressed model.
std::map<std::string, torch::Tensor> compress(const Scene& made,
                                              const CompressionSettings& settings,
                                              const memory::ActivationBudget& budget) {
  settings.validate();
  const formats::SavedTypes types(made.checkpoint);
  formats::MemoryStore store(types);
  test::SilentEvents events;
  std::map<std::string, double> timings;
  static_cast<void>(compress_blocks({*made.model,
                                     {},
                                     made.windows,
                                     settings,
                                     /*holds_codes=*/false,
                                     std::nullopt,
                                     false,
                                     types,
                                     store,
                                     events,
                                     timings,
                                     {},
                                     budget}));
  std::map<std::string, torch::Tensor> tensors;
  for (const containers::TensorInfo& info : store.tensors()) {
    tensors[info.name] = model::to_torch(store.read(info.name)).clone();
  }
  return tensors;
}

TEST(Placement, GivesTheSameBytesFromMemoryHostAndFile) {
  const TemporaryFolder folder;
  constexpr std::int64_t kSome = 3000;  // about three of the four batches of one stream
  for (const Scene& made : scenes()) {
    for (const CompressionSettings& settings : {sparsegpt(), in_sequence(), rd(), tuned()}) {
      const auto expected = compress(made, settings, {});
      for (const memory::ActivationBudget& budget :
           {memory::ActivationBudget{0, 0, folder.path()},
            memory::ActivationBudget{kSome, 0, folder.path()},
            memory::ActivationBudget{kSome, kSome, folder.path()}}) {
        for (const auto& [name, tensor] : compress(made, settings, budget)) {
          EXPECT_TRUE(tensor.equal(expected.at(name)))
              << name << " with " << budget.device_bytes << ", " << budget.host_bytes;
        }
      }
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

/// Counts LibTorch's operations by name while it lives, on this thread.
class OperationCounts {
 public:
  OperationCounts() {
    counts().clear();
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& function)
                                       -> std::unique_ptr<at::ObserverContext> {
          ++counts()[function.name()];
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
  }
  ~OperationCounts() { at::removeCallback(handle_); }
  OperationCounts(const OperationCounts&) = delete;
  OperationCounts& operator=(const OperationCounts&) = delete;

  [[nodiscard]] static std::map<std::string, int>& counts() {
    static std::map<std::string, int> by_name;
    return by_name;
  }

 private:
  at::CallbackHandle handle_ = 0;
};

/// Norms and linears of a walk that handles every site.
std::map<std::string, int> count_walk(const Scene& made, bool dense_stream) {
  std::map<std::string, double> timings;
  const walk::LayerSelection everything;
  walk::BlockWalk walk{*made.model, {}, made.windows, everything,  true,
                       2,           0,  timings,      dense_stream};
  walk.keeps_norms = true;
  const OperationCounts counting;
  walk::walk_blocks(walk, [](model::Block& /*block*/, std::span<walk::SiteInput> /*inputs*/) {});
  return OperationCounts::counts();
}

TEST(Placement, InSequenceEveryActivationIsComputedOnce) {
  constexpr int kBatches = 4;
  constexpr int kBlocks = 2;
  for (const Scene& made : scenes()) {
    const bool llama = made.model->spec().family == "llama";
    const int linears = llama ? 7 : 6;
    const char* const norm = llama ? "aten::linalg_vector_norm" : "aten::layer_norm";
    // What the last linear of the last block gives is read by nobody.
    const int products = kBatches * (kBlocks * linears - 1);
    auto counts = count_walk(made, /*dense_stream=*/false);
    EXPECT_EQ(counts["aten::linear"], products) << made.model->spec().family;
    EXPECT_EQ(counts[norm], kBatches * kBlocks * 2) << made.model->spec().family;
    // The dense stream parts at the first site, whose input is the same.
    counts = count_walk(made, /*dense_stream=*/true);
    EXPECT_EQ(counts["aten::linear"], 2 * products) << made.model->spec().family;
    EXPECT_EQ(counts[norm], kBatches * (2 * kBlocks * 2 - 1)) << made.model->spec().family;
  }
}

}  // namespace
}  // namespace sgpt_mi::compress

#include "sgpt_mi/memory/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::memory {
namespace {

using test::error_of;
using testing::HasSubstr;

constexpr std::int64_t kGB = 1'000'000'000;

/// Names, types and shapes of a LLaMA, without data.
class ShapesOnly : public containers::TensorSource {
 public:
  explicit ShapesOnly(const nlohmann::json& config) {
    const std::int64_t hidden = config["hidden_size"];
    const std::int64_t mlp = config["intermediate_size"];
    const std::int64_t vocab = config["vocab_size"];
    add("model.embed_tokens", {vocab, hidden});
    add("model.norm", {hidden});
    add("lm_head", {vocab, hidden});
    for (int layer = 0; layer < config["num_hidden_layers"]; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
        add(prefix + "self_attn." + name, {hidden, hidden});
      }
      add(prefix + "mlp.gate_proj", {mlp, hidden});
      add(prefix + "mlp.up_proj", {mlp, hidden});
      add(prefix + "mlp.down_proj", {hidden, mlp});
      add(prefix + "input_layernorm", {hidden});
      add(prefix + "post_attention_layernorm", {hidden});
    }
  }

  [[nodiscard]] const std::vector<containers::TensorInfo>& tensors() const override {
    return infos_;
  }
  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    fail(ErrorKind::kInternal, "no data of {}", name);
  }
  [[nodiscard]] std::int64_t parameters() const {
    std::int64_t count = 0;
    for (const containers::TensorInfo& info : infos_) count += info.count();
    return count;
  }

 private:
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    infos_.push_back({name + ".weight", DType::kF16, std::move(shape)});
  }
  std::vector<containers::TensorInfo> infos_;
};

nlohmann::json vicuna_13b() {
  return {{"model_type", "llama"},      {"num_hidden_layers", 40},         {"hidden_size", 5120},
          {"intermediate_size", 13824}, {"num_attention_heads", 40},       {"vocab_size", 32000},
          {"rms_norm_eps", 1e-6},       {"max_position_embeddings", 2048}, {"hidden_act", "silu"},
          {"num_key_value_heads", 40},  {"tie_word_embeddings", false}};
}

enum class Way : std::uint8_t { kSparseGpt, kMi, kRd };

/// A 13B run of 128 windows of 2,048 tokens in float16 on a GPU, scored on three sets.
struct Run13B {
  ShapesOnly shapes{vicuna_13b()};
  model::Model model{model::parse_model_spec(vicuna_13b()), shapes};
  Way way;

  explicit Run13B(Way which) : way(which) {}

  [[nodiscard]] MemoryQuestion question() const {
    MemoryQuestion asked{model, {{torch::kCUDA, 0}, torch::kFloat16}};
    asked.parameters = shapes.parameters();
    asked.windows = 128;
    asked.seqlen = 2048;
    asked.eval_windows = {166, 50, 256};
    asked.eval_seqlen = 2048;
    asked.packs = true;
    asked.program_bytes = 300'000'000;
    if (way == Way::kMi) asked.chooses_widths = asked.groups_channels = true;
    if (way == Way::kMi) asked.sampled_tokens = 1024;
    if (way == Way::kRd) {
      asked.true_sequential = asked.dense_stream = asked.corrects_drift = asked.refines = true;
      asked.corrects_residual = true;
      asked.backward_pass = true;
      asked.measured_windows = 4;
      asked.held_out_windows = 2;
    }
    return asked;
  }
};

MemoryLimits limits(std::int64_t device, std::int64_t host) {
  return {{device, true}, {host, true}};
}

std::int64_t need(const MemoryPhase& phase, const std::string& what) {
  for (const MemoryNeeds& side : {phase.device, phase.host}) {
    for (const MemoryNeed& one : side) {
      if (one.what == what) return one.bytes;
    }
  }
  ADD_FAILURE() << phase.name << " has no " << what;
  return 0;
}

const MemoryPhase& phase_of(const MemoryPlan& plan, const std::string& name) {
  for (const MemoryPhase& phase : plan.phases) {
    if (phase.name == name) return phase;
  }
  throw std::out_of_range(name);
}

TEST(MemoryPlan, A13BModelFitsBelow40GBWithoutSpilling) {
  for (const Way way : {Way::kSparseGpt, Way::kMi, Way::kRd}) {
    const Run13B run(way);
    const MemoryPlan plan = make_memory_plan(run.question(), limits(40 * kGB, 128 * kGB));
    EXPECT_LT(total_of(plan.device_peak().device), 40 * kGB) << static_cast<int>(way);
    EXPECT_EQ(plan.file_states + plan.host_states, 0) << static_cast<int>(way);
    EXPECT_EQ(plan.batch_windows, 8) << "16,384 tokens";
  }
}

TEST(MemoryPlan, CountsWhatTheShapesSay) {
  const Run13B run(Way::kSparseGpt);
  const MemoryPlan plan = make_memory_plan(run.question(), limits(40 * kGB, 128 * kGB));
  EXPECT_EQ(plan.activation_bytes, std::int64_t{128} * 2048 * 5120 * 2);
  const MemoryPhase& calibration = phase_of(plan, "calibration");
  EXPECT_EQ(need(calibration, "H"), 4 * (3 * 5120LL * 5120 + 13824LL * 13824));
  const std::int64_t block = 4 * 5120LL * 5120 + 3 * 5120LL * 13824;
  EXPECT_EQ(need(calibration, "blocks"), 2 * 2 * block + 2 * 5120LL * 13824);
  EXPECT_EQ(need(calibration, "activations"), plan.activation_bytes);
  // The factor and its two copies in float64 alone.
  EXPECT_GT(need(phase_of(plan, "solving"), "workspace"), 3 * 8 * 13824LL * 13824);
}

TEST(MemoryPlan, AMatrixIsDecodedBesideItsPackedBytesAndLevels) {
  const Run13B run(Way::kSparseGpt);
  MemoryQuestion asked = run.question();
  const auto scored = [&](const char* what) {
    const MemoryPlan plan = make_memory_plan(asked, limits(40 * kGB, 128 * kGB));
    return need(phase_of(plan, "scoring the compressed model"), what);
  };
  const std::int64_t blocks = scored("blocks");
  const std::int64_t ends = scored("embedding and head");
  asked.decodes = true;
  EXPECT_EQ(scored("blocks") - blocks, 4 * 5120LL * 13824);
  EXPECT_EQ(scored("embedding and head") - ends, 4 * 32000LL * 5120);
}

TEST(MemoryPlan, RdHoldsTwoStreamsBetweenSites) {
  const Run13B run(Way::kRd);
  const MemoryPlan plan = make_memory_plan(run.question(), limits(80 * kGB, 128 * kGB));
  EXPECT_EQ(plan.activation_bytes, 2 * std::int64_t{128} * 2048 * (5120 + 13824) * 2);
  EXPECT_EQ(need(phase_of(plan, "solving"), "H"), 4 * (3 * 13824LL * 13824 + 2 * 5120LL * 13824));
  EXPECT_EQ(need(phase_of(plan, "sensitivities"), "inputs of all blocks"),
            42 * std::int64_t{4} * 2048 * 5120 * 2);
  EXPECT_EQ(need(phase_of(plan, "plan check"), "weights of a trial"),
            40 * 2 * (4 * 5120LL * 5120 + 3 * 5120LL * 13824));
}

TEST(MemoryPlan, EveryRankTriesPlansWithAllOfTheirWindows) {
  const Run13B run(Way::kRd);
  MemoryQuestion asked = run.question();
  asked.measured_windows = 16;
  const MemoryPlan alone = make_memory_plan(asked, limits(80 * kGB, 256 * kGB));
  asked.ranks = 4;
  const MemoryPlan shared = make_memory_plan(asked, limits(80 * kGB, 256 * kGB));
  for (const char* what : {"states", "activations"}) {
    EXPECT_EQ(need(phase_of(shared, "plan check"), what), need(phase_of(alone, "plan check"), what))
        << what;
  }
  EXPECT_LT(need(phase_of(shared, "curves"), "activations"),
            need(phase_of(alone, "curves"), "activations"));
}

TEST(MemoryPlan, ActivationsSpillToTheHostAndThenToAFile) {
  const Run13B run(Way::kRd);
  const MemoryPlan plan = make_memory_plan(run.question(), limits(24 * kGB, 128 * kGB));
  EXPECT_LE(total_of(plan.device_peak().device), 24 * kGB);
  EXPECT_GT(plan.host_states, 0);
  EXPECT_EQ(plan.file_states, 0);
  EXPECT_EQ(plan.activations.device_bytes + plan.host_states, plan.activation_bytes);
  EXPECT_GT(need(phase_of(plan, "solving"), "fetched batches"), 0);
  EXPECT_GE(need(phase_of(plan, "solving"), "pinned activations"), plan.host_states);
}

TEST(MemoryPlan, WhatTheHostCannotTakeGoesToAFile) {
  const Run13B run(Way::kSparseGpt);
  MemoryQuestion question = run.question();
  question.eval_windows = {};
  const std::int64_t device =
      total_of(make_memory_plan(question, limits(40 * kGB, 128 * kGB)).device_peak().device);
  const MemoryPlan wide = make_memory_plan(question, limits(device - kGB, 128 * kGB));
  EXPECT_LE(total_of(wide.device_peak().device), device - kGB);
  EXPECT_GT(wide.host_states, kGB);
  EXPECT_EQ(wide.file_states, 0);
  const std::int64_t host = total_of(wide.host_peak().host) - kGB;
  const MemoryPlan narrow = make_memory_plan(question, limits(device - kGB, host));
  EXPECT_LE(total_of(narrow.host_peak().host), host);
  EXPECT_GT(narrow.file_states, 0);
  EXPECT_EQ(narrow.activations.device_bytes + narrow.host_states + narrow.file_states,
            narrow.activation_bytes);
}

TEST(MemoryPlan, NamesThePartsOfALeastPlanThatIsTooLarge) {
  const Run13B run(Way::kSparseGpt);
  const auto tight = [&] {
    static_cast<void>(make_memory_plan(run.question(), limits(5 * kGB, 128 * kGB)));
  };
  const std::string text = error_of(ErrorKind::kUsage, tight);
  for (const char* part : {"5.0 GB", "GPU", "workspace", "blocks", "--nsamples"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const auto no_host = [&] {
    static_cast<void>(make_memory_plan(run.question(), limits(40 * kGB, kGB)));
  };
  EXPECT_THAT(error_of(ErrorKind::kUsage, no_host), HasSubstr("host"));
  // What is merely free is no promise: the plan is told, not refused.
  const MemoryLimits free{{5 * kGB, false}, {128 * kGB, false}};
  EXPECT_GT(total_of(make_memory_plan(run.question(), free).device_peak().device), 5 * kGB);
}

TEST(MemoryPlan, BatchesAreAsAskedForOrAsTheMachineAllows) {
  const Run13B run(Way::kSparseGpt);
  MemoryQuestion question = run.question();
  question.seqlen = 512;
  const MemoryLimits wide = limits(80 * kGB, 128 * kGB);
  EXPECT_EQ(make_memory_plan(question, wide).batch_windows, 32);
  question.windows = 7;
  EXPECT_EQ(make_memory_plan(question, wide).batch_windows, 7);
  question.placement = {torch::kCPU, torch::kFloat32};
  EXPECT_EQ(make_memory_plan(question, wide).batch_windows, 4);
  question.batch_windows = 3;
  EXPECT_EQ(make_memory_plan(question, wide).batch_windows, 3);
}

TEST(MemoryPlan, OnACpuEverythingIsOnTheHostAndTheRestInAFile) {
  const Run13B run(Way::kSparseGpt);
  MemoryQuestion question = run.question();
  question.placement = {torch::kCPU, torch::kFloat32};
  question.eval_windows = {};
  const MemoryPlan all = make_memory_plan(question, limits(0, 128 * kGB));
  EXPECT_TRUE(all.device_peak().device.empty());
  EXPECT_EQ(all.activations.device_bytes, all.activation_bytes);
  const std::int64_t peak = total_of(all.host_peak().host);
  const MemoryPlan less = make_memory_plan(question, limits(0, peak - 2 * kGB));
  EXPECT_LE(total_of(less.host_peak().host), peak - 2 * kGB);
  EXPECT_GT(less.file_states, 2 * kGB - 1);
  EXPECT_EQ(less.host_states, 0);
  EXPECT_EQ(less.batch_windows, 4);
}

}  // namespace
}  // namespace sgpt_mi::memory

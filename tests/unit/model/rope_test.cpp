#include "model/rope.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

namespace sgpt_mi::model {
namespace {

// Angles reach 20 radians: float32 keeps them to 20 * 2^-24, cos and sin to about that.
constexpr double kAngleTolerance = 4e-6;

ModelSpec spec_with(RopeScaling scaling, std::int64_t head_dim = 8) {
  ModelSpec spec;
  spec.head_dim = head_dim;
  spec.max_positions = 32;
  spec.rope_theta = 10000.0;
  spec.rope_scaling = scaling;
  return spec;
}

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Rope, FrequenciesArePowersOfTheBase) {
  const std::vector<float> frequencies = rope_frequencies(spec_with({}), 16);
  ASSERT_EQ(frequencies.size(), 4U);
  EXPECT_FLOAT_EQ(frequencies[0], 1.0F);
  EXPECT_FLOAT_EQ(frequencies[1], 0.1F);
  EXPECT_FLOAT_EQ(frequencies[2], 0.01F);
  EXPECT_FLOAT_EQ(frequencies[3], 0.001F);
}

TEST(Rope, LinearScalingIsPositionDividedByFactor) {
  RopeScaling linear;
  linear.kind = RopeScaling::Kind::kLinear;
  linear.factor = 4.0;
  const RopeTable scaled = rope_table(spec_with(linear), 80, torch::kFloat32);
  const RopeTable plain = rope_table(spec_with({}), 20, torch::kFloat32);
  EXPECT_LT(difference(scaled.cos.slice(0, 0, 80, 4), plain.cos), kAngleTolerance);
  EXPECT_LT(difference(scaled.sin.slice(0, 0, 80, 4), plain.sin), kAngleTolerance);
}

TEST(Rope, DynamicScalingActsOnlyBeyondThePositions) {
  RopeScaling dynamic;
  dynamic.kind = RopeScaling::Kind::kDynamic;
  dynamic.factor = 2.0;
  EXPECT_EQ(rope_frequencies(spec_with(dynamic), 32), rope_frequencies(spec_with({}), 32));
  // T = 2 P: the base becomes theta * (2 * 2 - 1)^(8/6).
  ModelSpec plain = spec_with({});
  plain.rope_theta *= std::pow(3.0, 8.0 / 6.0);
  EXPECT_EQ(rope_frequencies(spec_with(dynamic), 64), rope_frequencies(plain, 64));
  EXPECT_EQ(rope_frequencies(spec_with(dynamic, 2), 64)[0], 1.0F);
}

TEST(Rope, Llama3KeepsHighDividesLowAndRampsBetween) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  scaling.factor = 8.0;
  scaling.original_max_positions = 32;
  ModelSpec spec = spec_with(scaling);
  // Turns in 32 positions: frequency 1 makes 5.09 (kept), 0.1 makes 0.509 (divided).
  std::vector<float> frequencies = rope_frequencies(spec, 16);
  EXPECT_FLOAT_EQ(frequencies[0], 1.0F);
  EXPECT_FLOAT_EQ(frequencies[1], 0.1F / 8.0F);
  EXPECT_FLOAT_EQ(frequencies[3], 0.001F / 8.0F);
  // A ramp whose middle is where frequency 1 lies.
  const double turns = 32.0 / (2.0 * std::numbers::pi);
  spec.rope_scaling.low_freq_factor = turns - 1.0;
  spec.rope_scaling.high_freq_factor = turns + 1.0;
  frequencies = rope_frequencies(spec, 16);
  EXPECT_FLOAT_EQ(frequencies[0], 0.5F / 8.0F + 0.5F);
}

/// The spec of config.json with 512 positions and heads 16 wide.
ModelSpec spec_of(const nlohmann::json& scaling) {
  return parse_model_spec({{"model_type", "llama"},
                           {"hidden_size", 64},
                           {"num_attention_heads", 4},
                           {"num_hidden_layers", 2},
                           {"max_position_embeddings", 512},
                           {"intermediate_size", 96},
                           {"vocab_size", 64},
                           {"rope_scaling", scaling}});
}

struct RecordedRope {
  const char* scaling;
  std::int64_t seqlen;
  std::array<float, 8> frequencies;
  double attention_factor;
};

// ROPE_INIT_FUNCTIONS of transformers 5.24 (modeling_rope_utils.py) for the spec above.
constexpr auto kRecordedRopes = std::to_array<RecordedRope>({
    {R"({"type":"yarn","factor":4.0,"original_max_position_embeddings":128})",
     32,
     {1.0F, 0.237170815F, 0.049999997F, 0.00790569466F, 0.00249999994F, 0.000790569466F,
      0.000250000012F, 7.90569466e-05F},
     1.138629436111989},
    {R"({"rope_type":"yarn","factor":40.0,"original_max_position_embeddings":128,"mscale":0.707,
         "mscale_all_dim":1.0,"beta_fast":8,"beta_slow":2})",
     32,
     {1.0F, 0.213453725F, 0.0349999964F, 0.000790569466F, 0.000250000012F, 7.90569466e-05F,
      2.49999994e-05F, 7.90569447e-06F},
     0.9210423553163399},
    {R"({"type":"yarn","factor":4.0,"original_max_position_embeddings":128,"attention_factor":0.5,
         "truncate":false})",
     32,
     {1.0F, 0.225637481F, 0.04270567F, 0.00790569466F, 0.00249999994F, 0.000790569466F,
      0.000250000012F, 7.90569466e-05F},
     0.5},
    {R"({"type":"yarn","factor":null,"original_max_position_embeddings":64,"beta_fast":0})",
     32,
     {1.0F, 0.223994657F, 0.0416666642F, 0.00395284733F, 0.00124999997F, 0.000395284733F,
      0.000125000006F, 3.95284733e-05F},
     1.2079441541679836},
    {R"({"type":"yarn","factor":2.0,"original_max_position_embeddings":6})",  // no ramp: a step
     32,
     {1.0F, 0.158113882F, 0.0500000007F, 0.0158113893F, 0.00499999989F, 0.00158113893F,
      0.000500000024F, 0.000158113893F},
     1.0693147180559945},
    {R"({"type":"dynamic","factor":4.0})",
     1024,
     {1.0F, 0.251273751F, 0.0631385073F, 0.0158650484F, 0.0039864704F, 0.0010016954F,
      0.000251699792F, 6.32455485e-05F},
     1.0},
    {R"({"rope_type":"llama3","factor":4.0,"low_freq_factor":1.0,"high_freq_factor":4.0})",
     32,
     {1.0F, 0.316227764F, 0.100000001F, 0.0203718338F, 0.00249999994F, 0.000790569466F,
      0.000250000012F, 7.90569466e-05F},
     1.0},
});

TEST(Rope, FrequenciesAreThoseOfTransformers) {
  for (const RecordedRope& recorded : kRecordedRopes) {
    const ModelSpec spec = spec_of(nlohmann::json::parse(recorded.scaling));
    const std::vector<float> frequencies = rope_frequencies(spec, recorded.seqlen);
    ASSERT_EQ(frequencies.size(), recorded.frequencies.size());
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      // Recorded after a few float32 roundings.
      EXPECT_NEAR(frequencies[i], recorded.frequencies[i], 1e-6 * recorded.frequencies[i])
          << recorded.scaling << " " << i;
    }
    EXPECT_DOUBLE_EQ(spec.rope_scaling.attention_factor, recorded.attention_factor);
  }
}

TEST(Rope, AttentionFactorMultipliesCosAndSin) {
  RopeScaling scaling;
  scaling.attention_factor = 1.5;
  const RopeTable scaled = rope_table(spec_with(scaling), 20, torch::kFloat32);
  const RopeTable plain = rope_table(spec_with({}), 20, torch::kFloat32);
  EXPECT_TRUE(scaled.cos.equal(plain.cos * 1.5));
  EXPECT_TRUE(scaled.sin.equal(plain.sin * 1.5));
}

TEST(Rope, RotationKeepsNormsAndSeesOnlyDistances) {
  torch::manual_seed(3);
  const RopeTable table = rope_table(spec_with({}), 20, torch::kFloat32);
  const torch::Tensor query = at::randn({8}).expand({1, 20, 1, 8});
  const torch::Tensor key = at::randn({8}).expand({1, 20, 1, 8});
  const torch::Tensor q = apply_rope(query, table).squeeze();
  const torch::Tensor k = apply_rope(key, table).squeeze();
  EXPECT_LT(difference(q.norm(2, 1), query.squeeze().norm(2, 1)), 1e-5);
  EXPECT_LT(difference(q[0], query[0][0][0]), 1e-7) << "position 0 is not turned";
  // 8 products of values below 4, turned by angles known to kAngleTolerance.
  const double tolerance = 8 * 16 * kAngleTolerance;
  const torch::Tensor products = q.matmul(k.t());
  for (std::int64_t shift = 0; shift < 5; ++shift) {
    const torch::Tensor diagonal = products.diagonal(shift);
    EXPECT_LT(difference(diagonal, diagonal[0].expand_as(diagonal)), tolerance) << shift;
  }
}

TEST(Rope, FirstPairTurnsByOneRadianAPosition) {
  const RopeTable table = rope_table(spec_with({}, 2), 3, torch::kFloat32);
  const torch::Tensor x = at::tensor({1.0F, 0.0F}).expand({1, 3, 1, 2});
  const torch::Tensor turned = apply_rope(x, table).squeeze();
  EXPECT_NEAR(turned[2][0].item<double>(), std::cos(2.0), 1e-6);
  EXPECT_NEAR(turned[2][1].item<double>(), std::sin(2.0), 1e-6);
}

}  // namespace
}  // namespace sgpt_mi::model

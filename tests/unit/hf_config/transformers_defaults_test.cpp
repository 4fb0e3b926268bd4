#include "sgpt_mi/hf_config/transformers_defaults.h"

#include <gtest/gtest.h>

#include <numbers>

namespace sgpt_mi::hf_config {
namespace {

TEST(TransformersDefaults, AreKnownByTheModelType) {
  EXPECT_EQ(defaults_of("llama").positions, 2048);
  EXPECT_EQ(defaults_of("llama").kv_heads, 0);
  EXPECT_EQ(defaults_of("qwen3").head_dim, 128);
  EXPECT_EQ(find_defaults("gemma"), nullptr);
}

TEST(YarnMagnitude, GrowsWithTheLogarithm) {
  EXPECT_EQ(yarn_magnitude(1.0), 1.0);
  EXPECT_EQ(yarn_magnitude(0.5), 1.0);
  EXPECT_DOUBLE_EQ(yarn_magnitude(std::numbers::e), 1.1);
  EXPECT_DOUBLE_EQ(yarn_magnitude(std::numbers::e, 2.0), 1.2);
}

}  // namespace
}  // namespace sgpt_mi::hf_config

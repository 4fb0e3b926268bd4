#include <gtest/gtest.h>

#include "planning/plan_types.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/planning/type_options.h"

namespace sgpt_mi::planning {
namespace {

const blocks::BlockType* type_of(std::string_view name) {
  const blocks::BlockType* type = blocks::find_block_type(name);
  EXPECT_NE(type, nullptr) << name;
  return type;
}

std::vector<std::string> names_of(const std::vector<const blocks::BlockType*>& types) {
  std::vector<std::string> names;
  for (const blocks::BlockType* type : types) names.emplace_back(type->name);
  return names;
}

TEST(TypeOptions, MenusAreTheTypesWhoseBlocksDivideTheRows) {
  TypeOptions types;
  EXPECT_EQ(names_of(types.menu(512)),
            (std::vector<std::string>{"Q2_K", "Q3_K", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K", "Q8_0"}));
  EXPECT_EQ(names_of(types.menu(576)),
            (std::vector<std::string>{"Q4_0", "IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}));
  EXPECT_TRUE(types.menu(100).empty());
  types.needs_zero = true;
  EXPECT_EQ(names_of(types.menu(512)), (std::vector<std::string>{"Q3_K", "Q6_K", "Q8_0"}));
  EXPECT_EQ(names_of(types.menu(576)), (std::vector<std::string>{"Q4_0", "Q5_0", "Q8_0"}));
}

TEST(TypeOptions, NamesOfBothProgramsFit) {
  TypeOptions types;
  types.standard = type_of("Q4_K");
  types.by_name = {{"layers.1.", type_of("Q8_0")},
                   {"attn_v", type_of("Q6_K")},
                   {"down_proj", type_of("Q5_K")},
                   {"output", type_of("Q8_0")}};
  const auto name = [&](const std::string& linear) {
    return std::string(types.fixed(linear, 512)->name);
  };
  EXPECT_EQ(name("model.layers.0.self_attn.v_proj"), "Q6_K");
  EXPECT_EQ(name("model.layers.0.mlp.down_proj"), "Q5_K");
  EXPECT_EQ(name("model.layers.0.mlp.up_proj"), "Q4_K");
  EXPECT_EQ(name("model.layers.0.self_attn.o_proj"), "Q4_K");  // attn_output is not the output
  EXPECT_EQ(name("lm_head"), "Q8_0");
  EXPECT_EQ(name("model.layers.1.self_attn.v_proj"), "Q8_0");  // the first that fits
  EXPECT_EQ(name("model.layers.11.mlp.up_proj"), "Q4_K");
}

TEST(TypeOptions, NumbersInNamesAreWholeOnes) {
  TypeOptions types;
  types.standard = type_of("Q4_K");
  types.by_name = {{"layers.1", type_of("Q8_0")}, {"blk.2.attn_v", type_of("Q6_K")}};
  const auto name = [&](const std::string& linear) {
    return std::string(types.fixed(linear, 512)->name);
  };
  EXPECT_EQ(name("model.layers.1.mlp.up_proj"), "Q8_0");
  EXPECT_EQ(name("model.layers.10.mlp.up_proj"), "Q4_K");
  EXPECT_EQ(name("model.layers.2.self_attn.v_proj"), "Q6_K");
  EXPECT_EQ(name("model.layers.2.self_attn.k_proj"), "Q4_K");
}

TEST(TypeOptions, NamesThatFitNothingAreRefused) {
  TypeOptions types;
  types.ends = {{"model.embed_tokens", 100, 512}};
  types.by_name = {{"attn_v", type_of("Q6_K")}, {"output", type_of("Q8_0")}};
  EXPECT_NO_THROW(types.require_used({"model.layers.0.self_attn.v_proj"}));
  EXPECT_THROW(types.require_used({"model.layers.0.self_attn.k_proj"}), Error);
  types.by_name = {{"attn_x", type_of("Q6_K")}};
  EXPECT_THROW(types.require_used({"model.layers.0.self_attn.v_proj"}), Error);
}

TEST(TypeOptions, RowsThat256DoesNotDivideGetTheNextLargerTypeOf32) {
  TypeOptions types;
  types.standard = type_of("Q2_K");
  EXPECT_EQ(types.fixed("a", 576)->name, "IQ4_NL");
  types.standard = type_of("Q4_K");
  EXPECT_EQ(types.fixed("a", 576)->name, "IQ4_NL");
  types.needs_zero = true;
  EXPECT_EQ(types.fixed("a", 576)->name, "Q4_0");
  types.standard = type_of("Q6_K");
  EXPECT_EQ(types.fixed("a", 576)->name, "Q8_0");
  EXPECT_THROW((void)types.fixed("a", 100), Error);
}

TEST(TypeOptions, EmbeddingsKeepSixBitsUnlessASizeIsPlanned) {
  TypeOptions types;
  const formats::MatrixShape embedding{"model.embed_tokens", 1000, 512};
  EXPECT_EQ(types.fixed_end(embedding)->name, "Q6_K");
  EXPECT_EQ(types.fixed_end({"model.embed_tokens", 1000, 96})->name, "Q8_0");
  types.budget_bits = 1;
  EXPECT_EQ(types.fixed_end(embedding), nullptr);
  types.by_name = {{"token_embd", type_of("Q8_0")}};
  EXPECT_EQ(types.fixed_end(embedding)->name, "Q8_0");
}

TEST(TypeOptions, TypesWithoutAnExactZeroAreRefusedForPrunedWeights) {
  TypeOptions types;
  types.standard = type_of("Q4_K");
  EXPECT_NO_THROW(types.validate());
  types.needs_zero = true;
  EXPECT_THROW(types.validate(), Error);
  types.standard = type_of("Q3_K");
  EXPECT_NO_THROW(types.validate());
}

/// Two linears of 2 * 512 weights: damages are so that one bit helps the second ten times as much.
Measurements two_linears() {
  Measurements measurements;
  for (const double scale : {1.0, 10.0}) {
    LinearCurves& curves = measurements.linears.emplace_back();
    curves.name = scale > 1.0 ? "sensitive" : "robust";
    curves.rows = 2;
    curves.columns = 512;
    curves.types = {
        {"Q2_K", 8 * scale}, {"Q3_K", 3 * scale}, {"Q4_K", scale}, {"Q6_K", 0.1 * scale}};
  }
  return measurements;
}

PlanGoal goal_of(TypeOptions types) {
  PlanGoal goal;
  goal.types = std::move(types);
  return goal;
}

TEST(PlanTypes, BitsGoWhereTheySaveMost) {
  const Measurements measurements = two_linears();
  // Q2_K and Q4_K together take 7.125 bits a pair of weights.
  const RdPlan plan = plan_types(measurements, goal_of({}), 7.125 / 2);
  EXPECT_EQ(plan.linears.at("robust").block_type->name, "Q2_K");
  EXPECT_EQ(plan.linears.at("sensitive").block_type->name, "Q4_K");
  EXPECT_DOUBLE_EQ(plan.predicted_damage, 18.0);
  EXPECT_DOUBLE_EQ(plan.linears.at("robust").damage, 8.0);
  EXPECT_DOUBLE_EQ(plan.linears.at("sensitive").damage, 10.0);
}

TEST(PlanTypes, ABudgetInBitsIsNeverPassed) {
  const Measurements measurements = two_linears();
  for (const std::int64_t bits : {5376, 7000, 8193, 10000, 20000}) {
    TypeOptions types;
    types.budget_bits = bits;
    const RdPlan plan = plan_types(measurements, goal_of(types), std::nullopt);
    double taken = 0.0;
    for (const auto& [name, choice] : plan.linears) taken += 1024.0 * choice.block_type->bits();
    EXPECT_LE(taken, static_cast<double>(bits));
  }
}

TEST(PlanTypes, TargetsBelowTheSmallestTypesAreRefusedBeforeMeasuring) {
  Measurements measurements = two_linears();
  for (LinearCurves& curves : measurements.linears) curves.types.clear();
  EXPECT_NO_THROW(require_types(measurements, {}, 2.625));
  EXPECT_THROW(require_types(measurements, {}, 2.6), Error);
  measurements.linears.front().columns = 100;
  EXPECT_THROW(require_types(measurements, {}, 8.0), Error);
}

}  // namespace
}  // namespace sgpt_mi::planning

#include "sgpt_mi/planning/rd_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "plan_scene.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/planning/measurements.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::planning {
namespace {

std::int64_t zeros_of(const Measurements& measurements, const RdPlan& plan) {
  double zeros = 0;
  for (const LinearCurves& curves : measurements.linears) {
    zeros +=
        std::round(plan.linears.at(curves.name).sparsity * static_cast<double>(curves.weights()));
  }
  return static_cast<std::int64_t>(zeros);
}

TEST(RdPlan, UniformIsAlwaysACandidateAndGivesEveryLinearTheSame) {
  const Measurements measurements = three_linears();
  const std::vector<RdPlan> plans = make_plans(measurements, joint(0.5, 4.0), std::nullopt);
  EXPECT_EQ(names_of(plans), (std::vector<std::string>{"uniform", "planned sparsities",
                                                       "planned sparsities and widths"}));
  for (const auto& [name, choice] : plans.front().linears) {
    EXPECT_EQ(choice.sparsity, 0.5) << name;
    EXPECT_EQ(choice.unit_bits, std::vector<int>{4}) << name;
  }
}

TEST(RdPlan, SparsitiesKeepTheBudgetExactlyAndTheRange) {
  const Measurements measurements = three_linears();
  for (const double target : {0.3, 0.437, 0.5, 0.61}) {
    const std::vector<RdPlan> plans = make_plans(measurements, joint(target, 4.0), std::nullopt);
    const RdPlan& planned = plans.at(1);
    EXPECT_EQ(zeros_of(measurements, planned),
              static_cast<std::int64_t>(
                  std::floor(target * static_cast<double>(weights_of(measurements)))))
        << target;
    for (const auto& [name, choice] : planned.linears) {
      EXPECT_GE(choice.sparsity, target - 0.1 - 1e-4) << name;
      EXPECT_LE(choice.sparsity, target + 0.1 + 1e-4) << name;
    }
    EXPECT_LT(planned.predicted_damage, plans.front().predicted_damage) << target;
    double of_linears = 0.0;
    for (const LinearCurves& curves : measurements.linears) {
      of_linears += planned.linears.at(curves.name).damage;
      EXPECT_EQ(planned.linears.at(curves.name).damage_weight, curves.row_weight);
    }
    EXPECT_DOUBLE_EQ(of_linears, planned.predicted_damage);
  }
}

TEST(RdPlan, ExtremeSparsitiesCanBePlanned) {
  const Measurements measurements = three_linears();
  for (const double target : {0.0005, 0.005, 0.95, 0.99, 0.999}) {
    const std::vector<RdPlan> plans = make_plans(measurements, joint(target, 4.0), std::nullopt);
    for (const RdPlan& plan : plans) {
      if (plan.name == "uniform") continue;
      EXPECT_EQ(zeros_of(measurements, plan),
                static_cast<std::int64_t>(
                    std::floor(target * static_cast<double>(weights_of(measurements)))))
          << target;
    }
  }
}

TEST(RdPlan, WithoutAPlanOfWidthsTheTargetMustBeAWidth) {
  PlanGoal goal = joint(0.5, 3.5);
  goal.matrix.wbits = 3;
  goal.plan.plan_widths = false;
  EXPECT_THROW(require_plannable(three_linears(), goal, std::nullopt), Error);
  goal.plan.widths.target.average_bits = 3.0;
  require_plannable(three_linears(), goal, std::nullopt);
}

TEST(RdPlan, TheMostSensitiveLinearKeepsMost) {
  const std::vector<RdPlan> plans = make_plans(three_linears(), joint(0.5, 4.0), std::nullopt);
  const RdPlan& planned = plans.at(1);
  EXPECT_LT(planned.linears.at("c").sparsity, planned.linears.at("a").sparsity);
  EXPECT_LT(planned.linears.at("a").sparsity, planned.linears.at("b").sparsity);
}

TEST(RdPlan, WidthsStayWithinTheBudgetOfCodeBits) {
  const Measurements measurements = three_linears();
  for (const double target : {3.0, 3.5, 4.0, 5.2}) {
    const std::vector<RdPlan> plans = make_plans(measurements, joint(0.0, target), std::nullopt);
    const RdPlan& planned = plans.back();
    EXPECT_EQ(planned.name, "planned widths");
    double bits = 0.0;
    for (const LinearCurves& curves : measurements.linears) {
      bits += static_cast<double>(curves.weights() * planned.linears.at(curves.name).unit_bits[0]);
    }
    EXPECT_LE(bits, target * static_cast<double>(weights_of(measurements))) << target;
    const bool whole = target == 3.0 || target == 4.0;
    EXPECT_EQ(plans.size(), whole ? 2U : 1U) << target;
    if (whole) {
      EXPECT_LE(planned.predicted_damage, plans.front().predicted_damage) << target;
    }
  }
}

TEST(RdPlan, AttentionAndMlpHaveBudgetsOfTheirOwn) {
  Measurements measurements = three_linears();
  measurements.linears[0].attention = true;
  PlanGoal goal = joint(0.0, 4.0);
  goal.plan.widths.target.attention_bits = 6.0;
  goal.plan.widths.target.ffn_bits = 3.0;
  const RdPlan plan = make_plans(measurements, goal, std::nullopt).back();
  EXPECT_EQ(plan.linears.at("a").unit_bits[0], 6);
  EXPECT_LE(plan.linears.at("b").unit_bits[0], 4);
}

TEST(RdPlan, StoredBitsIncludeEverything) {
  const Measurements measurements = three_linears();
  PlanGoal goal = joint(0.5, 4.0);
  for (const double target : {2.6, 3.1, 4.0}) {
    for (const RdPlan& plan : make_plans(measurements, goal, target)) {
      double stored = 0.0;
      for (const LinearCurves& curves : measurements.linears) {
        stored +=
            static_cast<double>(stored_bits_of(curves, plan.linears.at(curves.name), goal.matrix));
      }
      EXPECT_LE(stored, target * static_cast<double>(weights_of(measurements))) << plan.name;
    }
  }
  EXPECT_THROW(static_cast<void>(make_plans(measurements, goal, 1.0)), Error);
}

TEST(RdPlan, FinerGridsAreTakenWhereTheyPay) {
  Measurements measurements = three_linears();
  for (LinearCurves& curves : measurements.linears) {
    CodingCurve fine = curves.coding.front();
    fine.grid_columns = 32;
    for (std::vector<double>& width : fine.damage) width[0] *= 0.01;
    curves.coding.push_back(fine);
  }
  const RdPlan plan = make_plans(measurements, joint(0.5, 4.0), 4.5).back();
  EXPECT_EQ(plan.linears.at("c").grid_columns, 32);
  // Code bits do not see what a grid takes, so there grids stay whole.
  const RdPlan by_codes = make_plans(measurements, joint(0.5, 4.0), std::nullopt).back();
  EXPECT_EQ(by_codes.linears.at("c").grid_columns, 0);
}

TEST(RdPlan, PruningAloneHasNoWidths) {
  const std::vector<RdPlan> plans = make_plans(three_linears(), joint(0.5, 16.0), std::nullopt);
  EXPECT_EQ(names_of(plans), (std::vector<std::string>{"uniform", "planned sparsities"}));
  EXPECT_TRUE(plans.back().linears.at("a").unit_bits.empty());
}

TEST(RdPlan, APatternLeavesOnlyWidthsToPlan) {
  Measurements measurements = three_linears();
  for (LinearCurves& curves : measurements.linears) curves.pruning = {{0.5, 1e-3}};
  PlanGoal goal = joint(0.0, 4.0);
  goal.matrix.prune_n = 2;
  goal.matrix.prune_m = 4;
  EXPECT_EQ(names_of(make_plans(measurements, goal, std::nullopt)),
            (std::vector<std::string>{"uniform", "planned widths"}));
}

TEST(ParetoTargets, NoPointIsBeatenByAnother) {
  const std::vector<PlanPoint> front = pareto_targets(three_linears(), joint(0.5, 4.0));
  ASSERT_GT(front.size(), 4U);
  for (std::size_t i = 1; i < front.size(); ++i) {
    EXPECT_GT(front[i].stored_bits, front[i - 1].stored_bits);
    EXPECT_LT(front[i].damage, front[i - 1].damage);
  }
}

TEST(LinearCurves, DamageIsLogLinearBetweenMeasuredSparsities) {
  const LinearCurves curves = linear("a", 10, 1.0);
  EXPECT_NEAR(curves.prune_damage(0.5), 1.0, 1e-12);
  EXPECT_NEAR(curves.prune_damage(0.475), std::pow(8.0, -0.25), 1e-9);
  EXPECT_NEAR(curves.prune_damage(0.7), 64.0, 1e-6);
  EXPECT_NEAR(curves.prune_damage(0.2), 0.25 / 8.0, 1e-9);
  EXPECT_EQ(curves.prune_damage(0.0), 0.0);
}

TEST(LinearCurves, CodingDamageIsLinearBetweenMasks) {
  LinearCurves curves = linear("a", 10, 1.0);
  curves.coding.push_back({0.0, 0, {3}, {{3.0}}});
  EXPECT_NEAR(curves.coding_damage(0.25, 0, 3, 0), 2.0, 1e-12);
  EXPECT_NEAR(curves.coding_damage(0.9, 0, 3, 0), 1.0, 1e-12);
  EXPECT_THROW(static_cast<void>(curves.coding_damage(0.5, 0, 5, 0)), Error);
}

TEST(Measurements, RoundTripThroughAFile) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "curves.json";
  Measurements written = three_linears();
  written.key = {{"model_sha256", "ab"}, {"windows", 8}};
  write_measurements(written, path);
  EXPECT_EQ(to_json(read_measurements(path)), to_json(written));
}

TEST(Measurements, AFileThatIsNoneGetsASentence) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "curves.json";
  nlohmann::json negative = to_json(three_linears());
  negative["linears"][0]["pruning"][0]["damage"] = -1.0;
  nlohmann::json labels = to_json(three_linears());
  labels["linears"][0]["unit_of_column"][0] = 7;
  for (const std::string& text : {std::string("{"), std::string("{}"), negative.dump(),
                                  labels.dump(), std::string("[1, 2")}) {
    std::ofstream(path) << text;
    try {
      static_cast<void>(read_measurements(path));
      FAIL() << text.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_NE(std::string(error.what()).find("curves.json"), std::string::npos);
    }
  }
  EXPECT_THROW(static_cast<void>(read_measurements(folder.path() / "missing.json")), Error);
}

// 64 x 96 codes of 4 bits in 3 groups: 12 words a row, 3 x 8 words of zero points, scales, g_idx.
TEST(StoredBits, AreThoseOfTheFormat) {
  const LinearCurves curves = linear("a", 64, 1.0);
  const std::int64_t gptq = 8 * (4 * 12 * 64 + 4 * 3 * 8 + 2 * 3 * 64 + 4 * 96);
  obs::CompressOptions matrix;
  const formats::GridLimits& grids = formats::find_format("gptq").grids;
  EXPECT_EQ(stored_bits_of(curves, {0.0, {4}, {}, 32}, matrix, grids), gptq);
  matrix.groupsize = 32;
  EXPECT_EQ(stored_bits_of(curves, {0.0, {4}, {}, 0}, matrix, grids), gptq);
  EXPECT_EQ(stored_bits_of(curves, {0.5, {4}, {}, 0}, matrix, grids), gptq);  // masks save nothing
  matrix.symmetric = true;
  EXPECT_EQ(stored_bits_of(curves, {0.0, {4}, {}, 0}, matrix,
                           formats::find_format("compressed-tensors").grids),
            8 * (4 * 12 * 64 + 2 * 3 * 64 + 16));
}

}  // namespace
}  // namespace sgpt_mi::planning

// Budgets of entropy-coded levels: curves, the step that meets a budget, and plans.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "plan_scene.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/packing/packed_size.h"
#include "sgpt_mi/planning/plan_levels.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::planning {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

/// Levels of Gaussian weights of a size: 1/2 log2(1 + (size / step)^2) bits, the square of the step
/// at high rate, and all of the energy where nothing is left.
LevelCurve gauss_curve(double sparsity, double size, double finest) {
  LevelCurve curve{sparsity, {}};
  for (int i = 0; i < 20; ++i) {
    const double step = finest * std::exp2(0.5 * i);
    const double levels = std::pow(size / step, 2.0);
    curve.points.push_back({step, 0.5 * std::log2(1.0 + levels), size * size / (1.0 + levels)});
  }
  return curve;
}

/// The three linears with levels measured at two masks each.
Measurements with_levels() {
  Measurements measurements = three_linears();
  double size = 0.5;
  for (LinearCurves& curves : measurements.linears) {
    size *= 2.0;
    curves.levels = {gauss_curve(0.5, 0.8 * size, 0.011 * size), gauss_curve(0.0, size, 0.01)};
    for (std::int64_t r = 0; r < curves.rows; ++r) {
      curves.row_weight.push_back(1.0 + 0.01 * static_cast<double>(r));
    }
  }
  return measurements;
}

PlanGoal level_goal(double sparsity, double bits) {
  PlanGoal goal = joint(sparsity, bits);
  goal.levels = true;
  return goal;
}

LevelDemand demand_of(const LevelCurve& curve) { return {&curve, 1000.0, 320.0}; }

TEST(LevelDemand, BitsFallWithoutJumps) {
  const LevelCurve curve = gauss_curve(0.0, 1.0, 0.01);
  const LevelDemand demand = demand_of(curve);
  constexpr double kOctave = 1.0 / 64.0;
  double before = bits_at(demand, std::exp2(-12.0));
  for (double octave = -12.0 + kOctave; octave < 10.0; octave += kOctave) {
    const double bits = bits_at(demand, std::exp2(octave));
    EXPECT_LT(bits, before) << octave;
    EXPECT_LE(before - bits, 1.0001 * 1000.0 * kOctave) << octave;
    before = bits;
  }
  EXPECT_GT(before, demand.side_bits);
}

TEST(LevelDemand, BitsAreThoseMeasuredAndExtrapolatedByHand) {
  const LevelCurve curve{0.0, {{0.5, 3.0, 0.1}, {1.0, 2.0, 0.4}, {4.0, 0.5, 2.0}}};
  LevelDemand demand = demand_of(curve);
  const auto level_bits = [&](double step) { return (bits_at(demand, step) - 320.0) / 1000.0; };
  EXPECT_DOUBLE_EQ(level_bits(0.5), 3.0);
  EXPECT_DOUBLE_EQ(level_bits(1.0), 2.0);
  EXPECT_DOUBLE_EQ(level_bits(2.0), 1.25) << "the middle of two octaves";
  EXPECT_DOUBLE_EQ(level_bits(0.125), 5.0) << "a bit a halving";
  EXPECT_DOUBLE_EQ(level_bits(8.0), 0.25) << "half of what little is left";
  demand.extra_bits = 0.25;
  EXPECT_DOUBLE_EQ(level_bits(2.0), 1.5);
  demand.extra_bits = -1.5;
  EXPECT_DOUBLE_EQ(level_bits(2.0), 0.0) << "nothing takes less than no bits";
}

TEST(StepFor, MeetsTheBudget) {
  const LevelCurve fine = gauss_curve(0.0, 1.0, 0.01);
  const LevelCurve coarse = gauss_curve(0.5, 40.0, 0.3);
  const std::vector<LevelDemand> demands{demand_of(fine), {&coarse, 5000.0, 100.0, 0.02}};
  double before = HUGE_VAL;
  for (const double bits : {0.05, 0.5, 1.0, 2.0, 4.0, 9.0, 20.0}) {
    const double budget = 420.0 + 6000.0 * bits;
    const double step = step_for(demands, budget);
    double taken = 0.0;
    for (const LevelDemand& demand : demands) taken += bits_at(demand, step);
    EXPECT_LE(taken, budget) << bits;
    EXPECT_NEAR(taken, budget, 1e-9 * budget) << bits;
    EXPECT_LT(step, before) << bits;
    before = step;
  }
}

TEST(StepFor, ABudgetBelowAllGetsAStepThatLeavesNothing) {
  const LevelCurve curve = gauss_curve(0.0, 1.0, 0.01);
  const double step = step_for({demand_of(curve)}, 100.0);
  EXPECT_NEAR(bits_at(demand_of(curve), step), 320.0, 1e-3);
  EXPECT_THAT(error_of(ErrorKind::kInternal, [] { (void)step_for({}, 1.0); }),
              HasSubstr("no levels to choose a step for"));
}

Choices choices_with(const Measurements& measurements, double sparsity) {
  Choices choices;
  for (const LinearCurves& linear : measurements.linears) {
    choices.push_back({sparsity, {}, linear.unit_of_column, 0});
  }
  return choices;
}

double bits_of(const Choices& choices, const std::vector<LinearCurves>& linears, double step) {
  double bits = 0.0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    bits += bits_at({&choices[i].levels, static_cast<double>(linears[i].weights()),
                     side_bits(linears[i].rows, linears[i].columns)},
                    step);
  }
  return bits;
}

TEST(PlanLevels, OneStepForAllMeetsTheBudget) {
  const Measurements measurements = with_levels();
  const auto weights = static_cast<double>(weights_of(measurements));
  double damage = HUGE_VAL;
  for (const double stored : {1.0, 2.5, 4.0, 7.0}) {
    Choices choices = choices_with(measurements, 0.5);
    std::optional<Choices> no_ends;
    RdPlan plan;
    plan_levels(measurements, stored, choices, no_ends, plan);
    EXPECT_EQ(plan.level_bits, static_cast<std::int64_t>(stored * weights));
    EXPECT_NEAR(bits_of(choices, measurements.linears, plan.step), stored * weights,
                1e-9 * stored * weights);
    for (std::size_t i = 0; i < choices.size(); ++i) {
      EXPECT_EQ(choices[i].row_weight, measurements.linears[i].row_weight);
      EXPECT_EQ(choices[i].unit_of_column, measurements.linears[i].unit_of_column);
    }
    EXPECT_GT(plan.predicted_damage, 0.0);
    EXPECT_LT(plan.predicted_damage, damage) << stored;
    damage = plan.predicted_damage;
  }
}

TEST(PlanLevels, CurvesAreLinearInTheSparsityBetweenTheMasksThatWereMeasured) {
  // Straight lines over the octave, so that a curve is known at the other's steps too.
  Measurements measurements{{}, {linear("a", 64, 1.0)}, {}};
  const auto line = [](double sparsity, double bits, double damage, double finest) {
    LevelCurve curve{sparsity, {}};
    for (int i = 0; i < 9; ++i) {
      const double step = finest * std::exp2(0.5 * i);
      curve.points.push_back({step, bits - std::log2(step), damage * step * step});
    }
    return curve;
  };
  measurements.linears[0].levels = {line(0.6, 4.0, 0.5, 0.3), line(0.1, 6.0, 1.0, 0.25)};
  measurements.linears[0].row_weight.assign(64, 1.0);
  for (const auto& [sparsity, share] :
       {std::pair{0.0, 0.0}, {0.1, 0.0}, {0.2, 0.2}, {0.35, 0.5}, {0.6, 1.0}, {0.9, 1.0}}) {
    Choices choices = choices_with(measurements, sparsity);
    std::optional<Choices> no_ends;
    RdPlan plan;
    plan_levels(measurements, 4.0, choices, no_ends, plan);
    for (const obs::LevelPoint& point : choices[0].levels.points) {
      const double bits = 6.0 - 2.0 * share - std::log2(point.step);
      if (point.step > 4.0) continue;  // beyond the steps of one of them
      EXPECT_NEAR(point.bits, bits, 1e-12) << sparsity << " " << point.step;
      EXPECT_NEAR(point.damage, (1.0 - 0.5 * share) * point.step * point.step, 1e-12) << sparsity;
    }
    const double step = std::exp2(6.0 - 2.0 * share - (4.0 - side_bits(64, 96) / (64.0 * 96.0)));
    if (step > 4.0) continue;
    EXPECT_NEAR(plan.step, step, 1e-9 * step) << sparsity;
    EXPECT_NEAR(plan.predicted_damage, (1.0 - 0.5 * share) * step * step, 1e-9 * step * step);
  }
}

TEST(PlanLevels, EndsCountInTheBudgetWhereTheyAreAskedFor) {
  Measurements measurements = with_levels();
  measurements.ends = {measurements.linears[1]};
  measurements.ends[0].name = "lm_head";
  measurements.ends[0].levels = {gauss_curve(0.0, 8.0, 0.05)};
  Choices choices = choices_with(measurements, 0.0);
  std::optional<Choices> ends(std::in_place);
  RdPlan plan;
  plan_levels(measurements, 3.0, choices, ends, plan);
  ASSERT_EQ(ends->size(), 1U);
  EXPECT_EQ(ends->front().row_weight, measurements.ends[0].row_weight);
  const auto weights =
      static_cast<double>(weights_of(measurements) + measurements.ends[0].weights());
  EXPECT_EQ(plan.level_bits, static_cast<std::int64_t>(3.0 * weights));
  EXPECT_NEAR(bits_of(choices, measurements.linears, plan.step) +
                  bits_of(*ends, measurements.ends, plan.step),
              3.0 * weights, 1e-9 * 3.0 * weights);
}

TEST(PlanLevels, WhatWasNotMeasuredIsNotPlanned) {
  const Measurements measurements = three_linears();
  Choices choices = choices_with(measurements, 0.0);
  std::optional<Choices> no_ends;
  RdPlan plan;
  EXPECT_THAT(error_of(ErrorKind::kInternal,
                       [&] { plan_levels(measurements, 3.0, choices, no_ends, plan); }),
              HasSubstr("levels of a linear were not measured"));
}

TEST(MakePlans, OfLevelsHaveOneStepAndNoWidths) {
  const Measurements measurements = with_levels();
  const std::vector<RdPlan> plans = make_plans(measurements, level_goal(0.5, 4.0), 2.5);
  EXPECT_THAT(names_of(plans), ElementsAre("levels", "levels and planned sparsities"));
  for (const RdPlan& plan : plans) {
    EXPECT_GT(plan.step, 0.0);
    EXPECT_EQ(plan.level_bits,
              static_cast<std::int64_t>(2.5 * static_cast<double>(weights_of(measurements))));
    for (const auto& [name, choice] : plan.linears) {
      EXPECT_TRUE(choice.unit_bits.empty()) << name;
      EXPECT_FALSE(choice.levels.points.empty()) << name;
    }
  }
  // Damage is that of the mask and that of the levels.
  double pruning = 0.0;
  for (const LinearCurves& curves : measurements.linears) pruning += curves.prune_damage(0.5);
  Choices choices = choices_with(measurements, 0.5);
  std::optional<Choices> no_ends;
  RdPlan levels;
  plan_levels(measurements, 2.5, choices, no_ends, levels);
  EXPECT_DOUBLE_EQ(plans[0].predicted_damage, pruning + levels.predicted_damage);
  double of_linears = 0.0;
  for (const auto& [name, choice] : plans[0].linears) of_linears += choice.damage;
  EXPECT_DOUBLE_EQ(of_linears, plans[0].predicted_damage);
  EXPECT_THAT(names_of(make_plans(measurements, level_goal(0.0, 4.0), 2.5)), ElementsAre("levels"));
}

TEST(MakePlans, WithoutAStoredSizeLevelsTakeWhatCodesWould) {
  const Measurements measurements = with_levels();
  const PlanGoal goal = level_goal(0.5, 3.0);
  const double stored = stored_bits_of_codes(measurements, goal);
  EXPECT_EQ(make_plans(measurements, goal, std::nullopt)[0].step,
            make_plans(measurements, goal, stored)[0].step);
}

TEST(MakePlans, OnlyABudgetOfBytesIsTheEndsToo) {
  Measurements measurements = with_levels();
  measurements.ends = {measurements.linears[0]};
  measurements.ends[0].name = "model.embed_tokens";
  PlanGoal goal = level_goal(0.0, 4.0);
  EXPECT_FALSE(make_plans(measurements, goal, 3.0)[0].linears.contains("model.embed_tokens"));
  goal.plan.widths.target.bytes = 100'000;
  const RdPlan plan = make_plans(measurements, goal, 3.0)[0];
  ASSERT_TRUE(plan.linears.contains("model.embed_tokens"));
  EXPECT_EQ(plan.level_bits,
            static_cast<std::int64_t>(3.0 * static_cast<double>(weights_of(measurements) +
                                                                measurements.ends[0].weights())));
}

TEST(MakePlans, LevelsReachSizesThatNoWidthDoes) {
  const Measurements measurements = with_levels();
  PlanGoal goal = level_goal(0.0, 4.0);
  EXPECT_NO_THROW(require_plannable(measurements, goal, 1.0));
  goal.levels = false;
  EXPECT_THROW(require_plannable(measurements, goal, 1.0), Error);
  // Steps are 16 bits a row and a column: 16 (365 + 3 * 96) of 35,040 weights.
  goal.levels = true;
  const double steps = 16.0 * 653.0 / 35040.0;
  EXPECT_NO_THROW(require_plannable(measurements, goal, steps + 0.101));
  EXPECT_NO_THROW(require_plannable(measurements, goal, std::nullopt));
  EXPECT_THAT(
      error_of(ErrorKind::kUsage, [&] { require_plannable(measurements, goal, steps + 0.099); }),
      HasSubstr(fmt::format("the fewest levels take about {:.4f}", steps + 0.1)));
}

TEST(LevelTargets, LessDamageForMoreBitsAndWhatZerosCost) {
  Measurements measurements = with_levels();
  const std::vector<LevelTarget> targets = level_targets(measurements, level_goal(0.3, 4.0));
  ASSERT_EQ(targets.size(), 10U);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    EXPECT_EQ(targets[i].stored_bits, 1.5 + 0.5 * static_cast<double>(i));
    const RdPlan plan =
        make_plans(measurements, level_goal(0.0, 4.0), targets[i].stored_bits).front();
    EXPECT_DOUBLE_EQ(targets[i].damage, plan.predicted_damage);
    ASSERT_TRUE(targets[i].damage_at_half.has_value());
    if (i == 0) continue;
    EXPECT_LT(targets[i].damage, targets[i - 1].damage);
    EXPECT_LT(*targets[i].damage_at_half, *targets[i - 1].damage_at_half);
  }
  // At many bits zeros save nothing worth what the mask costs.
  EXPECT_GT(*targets.back().damage_at_half, targets.back().damage);
  for (LinearCurves& curves : measurements.linears) curves.pruning.clear();
  for (const LevelTarget& target : level_targets(measurements, level_goal(0.3, 4.0))) {
    EXPECT_FALSE(target.damage_at_half.has_value());
  }
}

/// What packed files take for all linears with codes of one width, bits a weight.
double packed_bits(const Measurements& measurements, const PlanGoal& goal, std::size_t width) {
  double bits = 0.0;
  for (const LinearCurves& linear : measurements.linears) {
    const std::int64_t weights = linear.weights();
    packing::PackedShape shape;
    shape.rows = linear.rows;
    shape.columns = linear.columns;
    shape.dtype = DType::kF16;
    shape.grid_rows = linear.rows;
    shape.columns_of_width[width] = linear.columns;
    shape.groups_of_width[width] = 1;
    shape.prunes = true;
    shape.survivors_of_width[width] = weights / 2;
    shape.prune_n = static_cast<int>(goal.matrix.prune_n);
    shape.prune_m = static_cast<int>(goal.matrix.prune_m);
    bits += 8.0 * static_cast<double>(packing::predict_packed_size(shape).total());
  }
  return bits / static_cast<double>(weights_of(measurements));
}

TEST(StoredBitsOfCodes, AreThoseOfThePackedFile) {
  const Measurements measurements = three_linears();
  for (const bool pattern : {false, true}) {
    SCOPED_TRACE(pattern ? "2:4" : "half");
    const auto goal_of = [&](double bits) {
      PlanGoal goal = joint(pattern ? 0.0 : 0.5, bits);
      goal.matrix.prune_n = pattern ? 2 : 0;
      goal.matrix.prune_m = pattern ? 4 : 0;
      return goal;
    };
    for (int width = 2; width <= 8; ++width) {
      const PlanGoal goal = goal_of(width);
      EXPECT_NEAR(stored_bits_of_codes(measurements, goal),
                  packed_bits(measurements, goal, static_cast<std::size_t>(width)), 1e-9)
          << width;
    }
    const double three = packed_bits(measurements, goal_of(3.0), 3);
    const double four = packed_bits(measurements, goal_of(4.0), 4);
    EXPECT_NEAR(stored_bits_of_codes(measurements, goal_of(3.25)), 0.75 * three + 0.25 * four,
                1e-9);
    EXPECT_LT(three + 0.4, four) << "half of the weights take a bit more";
  }
}

TEST(LevelMeasurements, RoundTripThroughAFile) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "curves.json";
  const Measurements written = with_levels();
  write_measurements(written, path);
  const Measurements read = read_measurements(path);
  EXPECT_EQ(to_json(read), to_json(written));
  ASSERT_EQ(read.linears.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.linears[i].row_weight, written.linears[i].row_weight);
    ASSERT_EQ(read.linears[i].levels.size(), 2U);
    const obs::LevelPoint& found = read.linears[i].levels[1].points[7];
    const obs::LevelPoint& expected = written.linears[i].levels[1].points[7];
    EXPECT_EQ(found.step, expected.step);
    EXPECT_EQ(found.bits, expected.bits);
    EXPECT_EQ(found.damage, expected.damage);
    EXPECT_EQ(read.linears[i].levels[0].sparsity, 0.5);
  }
}

TEST(LevelMeasurements, FilesThatCannotBeAreRefused) {
  const test::TemporaryFolder folder;
  const nlohmann::json whole = to_json(with_levels());
  const auto refusal = [&](const auto& damage_file) {
    nlohmann::json bad = whole;
    damage_file(bad, bad["linears"][1]["levels"][0]["points"]);
    const std::filesystem::path path = folder.file("curves.json", bad.dump());
    const std::string message = error_of(ErrorKind::kInput, [&] { (void)read_measurements(path); });
    EXPECT_THAT(message, HasSubstr("curves.json"));
    return message;
  };
  using Json = nlohmann::json;
  EXPECT_THAT(refusal([](Json&, Json& points) { points[3][0] = points[4][0]; }),
              HasSubstr("steps of levels do not ascend"));
  EXPECT_THAT(refusal([](Json&, Json& points) { points[0][0] = 0.0; }),
              HasSubstr("steps of levels do not ascend"));
  EXPECT_THAT(refusal([](Json&, Json& points) { points = Json::array({points[0]}); }),
              HasSubstr("fewer than two points"));
  EXPECT_THAT(refusal([](Json&, Json& points) {
                points[2] = Json::array({1.0, 2.0});
              }),
              HasSubstr("not step, bits and damage"));
  EXPECT_THAT(refusal([](Json&, Json& points) { points[2][1] = -1.0; }), HasSubstr("negative"));
  EXPECT_THAT(refusal([](Json&, Json& points) { points[2][2] = nullptr; }), HasSubstr("null"));
  EXPECT_THAT(refusal([](Json& bad, Json&) { bad["linears"][1]["row_weight"].erase(0); }),
              HasSubstr("one weight a row"));
  EXPECT_THAT(refusal([](Json& bad, Json&) { bad["linears"][1].erase("levels"); }),
              HasSubstr("levels"));
  EXPECT_THAT(refusal([](Json& bad, Json&) { bad["sgpt_mi_measurements"] = 1; }),
              HasSubstr("another version than 2"));
}

}  // namespace
}  // namespace sgpt_mi::planning

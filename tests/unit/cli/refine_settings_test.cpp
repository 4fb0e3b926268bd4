// The steps around the sweep and the measured plan, from the command line to the options.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runs.h"

namespace sgpt_mi::cli {
namespace {

using compress::CompressionSettings;
using test::error_of;
using testing::HasSubstr;

pipeline::CompareRun compare_run(Flags flags) {
  flags.insert(flags.begin(), {"compare", "m", "c4"});
  return to_compare_run(flags::parse_arguments(flags).settings);
}

/// What decides the steps of two runs.
void expect_equal_steps(const CompressionSettings& left, const CompressionSettings& right) {
  const obs::RefineOptions& a = left.matrix.refine;
  const obs::RefineOptions& b = right.matrix.refine;
  EXPECT_EQ(a.l0_sweeps, b.l0_sweeps);
  EXPECT_EQ(a.refit_iterations, b.refit_iterations);
  EXPECT_EQ(a.polish_sweeps, b.polish_sweeps);
  EXPECT_EQ(a.grid_after_mask, b.grid_after_mask);
  EXPECT_EQ(a.weighted_clip, b.weighted_clip);
  EXPECT_EQ(a.scale_step, b.scale_step);
  EXPECT_EQ(left.drift, right.drift);
  EXPECT_EQ(left.drift_residual, right.drift_residual);
  EXPECT_EQ(left.tune, right.tune);
  EXPECT_EQ(left.true_sequential, right.true_sequential);
}

TEST(Steps, RdTakesThemAndTheOthersTakeNone) {
  const CompressionSettings rd = compression({"--sparsity", "0.5", "--wbits", "4"});
  EXPECT_EQ(rd.method, compress::Method::kRd);
  EXPECT_TRUE(rd.plan.has_value());
  EXPECT_EQ(rd.drift, 1.0);
  EXPECT_TRUE(rd.drift_residual);
  EXPECT_TRUE(rd.true_sequential);
  EXPECT_GT(rd.matrix.refine.l0_sweeps, 0);
  EXPECT_GT(rd.matrix.refine.refit_iterations, 0);
  EXPECT_GT(rd.matrix.refine.polish_sweeps, 0);
  EXPECT_TRUE(rd.matrix.refine.grid_after_mask);
  EXPECT_TRUE(rd.matrix.refine.weighted_clip);
  EXPECT_EQ(rd.tune, 0);  // slow: on demand only
  // Levels gain next to nothing by it (src/obs/README.md).
  EXPECT_FALSE(rd.matrix.refine.scale_step);
  const CompressionSettings codes = compression({"--wbits", "4", "--coding", "fixed"});
  EXPECT_TRUE(codes.matrix.refine.scale_step);
  EXPECT_GT(codes.matrix.refine.polish_sweeps, rd.matrix.refine.polish_sweeps);
  for (const char* method : {"sparsegpt", "magnitude", "toky", "enhanced", "mi"}) {
    const CompressionSettings other = compression({"--wbits", "4", "--method", method});
    EXPECT_FALSE(other.matrix.refine.any()) << method;
    EXPECT_FALSE(other.follows_dense()) << method;
    EXPECT_FALSE(other.true_sequential) << method;
    EXPECT_FALSE(other.plan.has_value()) << method;
  }
}

TEST(Steps, RefitIsLongerWhereNoCodesFollow) {
  const auto iterations = [](const Flags& flags) {
    return compression(flags).matrix.refine.refit_iterations;
  };
  EXPECT_GT(iterations({"--sparsity", "0.5"}), iterations({"--sparsity", "0.5", "--wbits", "4"}));
  EXPECT_EQ(iterations({"--sparsity", "0.5", "--refit", "7"}), 7);
}

TEST(Steps, FlagsBeatTheMethod) {
  const Flags off{"--drift",  "0", "--drift_residual",  "0", "--l0_sweeps",     "0",
                  "--refit",  "0", "--grid_after_mask", "0", "--weighted_clip", "0",
                  "--polish", "0", "--scale_step",      "0", "--wbits",         "4"};
  const CompressionSettings bare = compression(off);
  EXPECT_FALSE(bare.matrix.refine.any());
  EXPECT_FALSE(bare.follows_dense());
  EXPECT_FALSE(bare.drift_residual);

  const CompressionSettings full =
      compression({"--method",          "sparsegpt", "--wbits",         "4", "--drift",  "0.5",
                   "--drift_residual",  "1",         "--l0_sweeps",     "2", "--refit",  "5",
                   "--grid_after_mask", "1",         "--weighted_clip", "1", "--polish", "4",
                   "--scale_step",      "1"});
  EXPECT_EQ(full.drift, 0.5);
  EXPECT_TRUE(full.drift_residual);
  EXPECT_EQ(full.matrix.refine.l0_sweeps, 2);
  EXPECT_EQ(full.matrix.refine.refit_iterations, 5);
  EXPECT_TRUE(full.matrix.refine.grid_after_mask);
  EXPECT_TRUE(full.matrix.refine.weighted_clip);
  EXPECT_EQ(full.matrix.refine.polish_sweeps, 4);
  EXPECT_TRUE(full.matrix.refine.scale_step);
}

TEST(Steps, MinusOneIsAsTheMethodHasIt) {
  for (const char* method : {"rd", "sparsegpt"}) {
    const Flags base{"--wbits", "4", "--method", method};
    Flags written = base;
    for (const char* key : {"--drift", "--drift_residual", "--l0_sweeps", "--refit",
                            "--grid_after_mask", "--weighted_clip", "--polish", "--scale_step"}) {
      written.insert(written.end(), {key, "-1"});
    }
    expect_equal_steps(compression(written), compression(base));
    EXPECT_EQ(compression(written).entropy, compression(base).entropy) << method;
  }
}

TEST(Steps, WrongValuesAreNamed) {
  for (const char* key :
       {"drift_residual", "grid_after_mask", "weighted_clip", "scale_step", "width_plan"}) {
    for (const char* value : {"2", "-2"}) {
      EXPECT_THAT(usage_error({"--wbits", "4", std::string("--") + key, value}),
                  HasSubstr(std::string(key) + ": " + value))
          << key;
    }
  }
  EXPECT_THAT(usage_error({"--wbits", "4", "--drift", "1.5"}), HasSubstr("drift: 1.5"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--drift", "-0.5"}), HasSubstr("drift: -0.5"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--l0_sweeps", "-2"}), HasSubstr("l0_sweeps"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--refit", "-2"}), HasSubstr("refit"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--polish", "1001"}), HasSubstr("polish"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--tune", "-1"}), HasSubstr("tune"));
}

TEST(Steps, FollowingTheDenseModelImpliesTrueSequential) {
  const Flags base{"--wbits", "4", "--method", "sparsegpt"};
  const auto sequential = [&](Flags flags) {
    flags.insert(flags.begin(), base.begin(), base.end());
    return compression(flags).true_sequential;
  };
  EXPECT_FALSE(sequential({}));
  EXPECT_FALSE(sequential({"--drift", "0"}));
  EXPECT_FALSE(sequential({"--polish", "3"}));
  EXPECT_TRUE(sequential({"--drift", "0.1"}));
  EXPECT_TRUE(sequential({"--true_sequential"}));
  EXPECT_TRUE(compression({"--wbits", "4", "--drift", "0"}).true_sequential);
}

TEST(Steps, ResidualCorrectionNeedsDriftCorrection) {
  EXPECT_THAT(usage_error({"--wbits", "4", "--method", "sparsegpt", "--drift_residual", "1"}),
              HasSubstr("--drift"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--drift", "0", "--drift_residual", "1"}),
              HasSubstr("--drift"));
  EXPECT_EQ(compression({"--wbits", "4", "--drift", "0"}).drift, 0.0);
}

TEST(Steps, MagnitudeCompensatesNothing) {
  const Flags magnitude{"--wbits", "4", "--method", "magnitude"};
  for (const Flags& step :
       std::vector<Flags>{{"--drift", "1"}, {"--polish", "1"}, {"--refit", "1"}}) {
    Flags flags = magnitude;
    flags.insert(flags.end(), step.begin(), step.end());
    EXPECT_THAT(usage_error(flags), HasSubstr("magnitude compensates nothing"));
  }
}

TEST(Plan, FlagsReachTheOptions) {
  const planning::PlanOptions plan =
      compression({"--sparsity", "0.5", "--wbits", "4", "--sensitivity", "energy",
                   "--sparsity_range", "0.05", "--width_plan", "0", "--plan_windows", "3",
                   "--plan_check", "0", "--measurements", "f.json", "--levels", "3,4,5"})
          .plan.value();
  EXPECT_EQ(plan.sensitivity, planning::Sensitivity::kEnergy);
  EXPECT_EQ(plan.sparsity_range, 0.05);
  EXPECT_FALSE(plan.plan_widths);
  EXPECT_EQ(plan.windows, 3);
  EXPECT_EQ(plan.check_windows, 0);
  EXPECT_EQ(plan.measurements, "f.json");
  EXPECT_THAT(plan.widths.levels, testing::ElementsAre(3, 4, 5));
  EXPECT_TRUE(plan.widths.target.over_model);
}

TEST(Plan, RangesAreNamed) {
  const auto with = [](const char* flag, const char* value) {
    return usage_error({"--sparsity", "0.5", "--wbits", "4", flag, value});
  };
  EXPECT_THAT(with("--sensitivity", "hessian"), HasSubstr("fisher"));
  EXPECT_THAT(with("--sparsity_range", "1"), HasSubstr("sparsity_range: 1"));
  EXPECT_THAT(with("--sparsity_range", "-0.1"), HasSubstr("sparsity_range: -0.1"));
  EXPECT_THAT(with("--plan_windows", "0"), HasSubstr("plan_windows: 0"));
  EXPECT_THAT(with("--plan_check", "-1"), HasSubstr("plan_check: -1"));
  for (const char* levels : {"4,2", "2,2", "1,4", "4,9"}) {
    EXPECT_THAT(with("--levels", levels), HasSubstr("levels: '")) << levels;
  }
}

TEST(Plan, UnitsAreWholeLinearsUnlessGroupsAreAskedFor) {
  const auto grouping = [](const Flags& flags) {
    return compression(flags).plan.value().widths.grouping;
  };
  EXPECT_EQ(grouping({"--wbits", "4"}).groups, 1);
  EXPECT_EQ(grouping({"--wbits", "4", "--n_groups", "8"}).groups, 8);
  EXPECT_EQ(grouping({"--wbits", "4", "--n_groups", "8"}).grouping, widths::Grouping::kHessian);
  EXPECT_EQ(grouping({"--wbits", "4", "--n_groups", "8", "--grouping", "mi"}).grouping,
            widths::Grouping::kMi);
  EXPECT_THAT(usage_error({"--wbits", "4", "--n_groups", "auto"}), HasSubstr("auto"));
}

TEST(Plan, QuantizesOnlyWhenAWidthOrASizeIsAskedFor) {
  const pipeline::CompressRun pruned = compress_run({"--sparsity", "0.5"});
  EXPECT_FALSE(pruned.compression.quantizes());
  EXPECT_EQ(pruned.format.name, "hf");
  const std::vector<Flags> asking{
      {"--wbits", "3"},          {"--target_avg_bits", "3.5"}, {"--target_stored_bits", "3"},
      {"--target_bytes", "1MB"}, {"--attention_bits", "4"},    {"--ffn_bits", "4"}};
  for (Flags flags : asking) {
    SCOPED_TRACE(flags.front());
    for (const bool named : {false, true}) {  // 16 written out changes nothing
      if (named && flags.front() == "--wbits") continue;
      if (named) flags.insert(flags.end(), {"--wbits", "16"});
      const pipeline::CompressRun run = compress_run(flags);
      EXPECT_TRUE(run.compression.quantizes());
      EXPECT_EQ(run.format.name, "packed");
      EXPECT_TRUE(run.compression.matrix.stored_scales);
    }
  }
}

TEST(Plan, StartsFromTheWidestLevelThatTheTargetHolds) {
  const auto base = [](const Flags& flags) { return compression(flags).matrix.wbits; };
  EXPECT_EQ(base({"--wbits", "4"}), 4);
  EXPECT_EQ(base({"--wbits", "5"}), 4);
  EXPECT_EQ(base({"--target_avg_bits", "3.5", "--wbits", "16"}), 3);
  EXPECT_EQ(base({"--target_avg_bits", "8"}), 8);
  EXPECT_EQ(compression({"--wbits", "8", "--target_avg_bits", "3.5"})
                .plan.value()
                .widths.target.average_bits,
            3.5);
}

TEST(Plan, TargetsByPartAreBudgetsOfTheirOwn) {
  const widths::WidthTarget target =
      compression({"--attention_bits", "4", "--ffn_bits", "3"}).plan.value().widths.target;
  EXPECT_EQ(target.attention_bits, 4.0);
  EXPECT_EQ(target.ffn_bits, 3.0);
  EXPECT_THAT(usage_error({"--attention_bits", "4", "--target_stored_bits", "3"}),
              HasSubstr("exclude each other"));
}

TEST(Plan, FlagsOfOtherMethodsAreRefusedByName) {
  const std::vector<Flags> of_plans{{"--sensitivity", "none"}, {"--sparsity_range", "0.2"},
                                    {"--width_plan", "0"},     {"--plan_windows", "2"},
                                    {"--plan_check", "1"},     {"--measurements", "f"}};
  for (const Flags& flag : of_plans) {
    for (const char* method : {"sparsegpt", "magnitude", "toky", "enhanced", "mi"}) {
      const std::string error = usage_error({"--wbits", "4", "--method", method, flag[0], flag[1]});
      EXPECT_THAT(error, HasSubstr(flag[0] + " has no effect with --method " + method));
    }
  }
  const std::vector<Flags> of_scores{{"--budget_scope", "model"},
                                     {"--bit_allocation", "quantile"},
                                     {"--bit_thresholds", "4,3,2,1"},
                                     {"--toky_thresholds", "2,1"},
                                     {"--share", "bits"},
                                     {"--importance_weights", "1,0,0,0,0"},
                                     {"--use_mi_grouping", "0"}};
  for (const Flags& flag : of_scores) {
    EXPECT_THAT(usage_error({"--wbits", "4", flag[0], flag[1]}),
                HasSubstr(flag[0] + " has no effect with --method rd"));
  }
}

TEST(Plan, FileOfDefaultsAsksForNothing) {
  for (const char* method : {"rd", "mi", "enhanced", "toky", "sparsegpt", "magnitude"}) {
    const Flags base{"--method", method, "--wbits", "4"};
    Flags with_file = base;
    with_file.insert(with_file.end(), {"--config", SGPT_MI_SOURCE_DIR "/configs/default.json"});
    const CompressionSettings left = compression(with_file);
    const CompressionSettings right = compression(base);
    expect_equal_steps(left, right);
    ASSERT_EQ(left.plan.has_value(), right.plan.has_value()) << method;
    if (left.plan) {
      EXPECT_EQ(left.plan->widths.grouping.groups, right.plan->widths.grouping.groups);
      EXPECT_EQ(left.plan->widths.grouping.grouping, right.plan->widths.grouping.grouping);
    }
  }
}

TEST(Compare, EveryVariantGetsTheFlagsThatItReads) {
  const pipeline::CompareRun run = compare_run(
      {"--methods", "sparsegpt,mi,rd", "--wbits", "4", "--target_avg_bits", "3.5", "--share",
       "bits", "--n_groups", "8", "--plan_windows", "3", "--measurements", "f.json"});
  ASSERT_EQ(run.variants.size(), 3U);
  const CompressionSettings& sparsegpt = run.variants[0].run.compression;
  EXPECT_EQ(sparsegpt.matrix.wbits, 4);
  EXPECT_FALSE(sparsegpt.widths || sparsegpt.plan);
  const CompressionSettings& mi = run.variants[1].run.compression;
  EXPECT_EQ(mi.widths.value().sharing, quant::GridSharing::kColumn);
  EXPECT_EQ(mi.widths->target.average_bits, 3.5);
  EXPECT_FALSE(mi.plan);
  const CompressionSettings& rd = run.variants[2].run.compression;
  EXPECT_EQ(rd.plan.value().windows, 3);
  EXPECT_EQ(rd.plan->measurements, "f.json");
  EXPECT_EQ(rd.plan->widths.target.average_bits, 3.5);
  EXPECT_EQ(rd.plan->widths.grouping.groups, 8);
  EXPECT_FALSE(rd.widths);
}

TEST(Compare, EveryMethodRunsByDefault) {
  std::vector<std::string> methods;
  for (const pipeline::CompareVariant& variant : compare_run({"--wbits", "4"}).variants) {
    methods.push_back(variant.method);
  }
  EXPECT_THAT(methods, testing::ElementsAre("sparsegpt", "toky", "enhanced", "mi", "rd"));
}

TEST(Compare, MagnitudeIsLeftWithoutSteps) {
  const pipeline::CompareRun run = compare_run({"--methods", "magnitude,sparsegpt", "--wbits", "4",
                                                "--drift", "1", "--polish", "2", "--tune", "3"});
  EXPECT_EQ(run.variants[0].run.compression.tune, 0);
  EXPECT_EQ(run.variants[1].run.compression.tune, 3);
  EXPECT_FALSE(run.variants[0].run.compression.matrix.refine.any());
  EXPECT_EQ(run.variants[0].run.compression.drift, 0.0);
  EXPECT_EQ(run.variants[1].run.compression.drift, 1.0);
  EXPECT_EQ(run.variants[1].run.compression.matrix.refine.polish_sweeps, 2);
}

TEST(Compare, MeasurementsBelongToOneSeed) {
  const auto several = [] {
    static_cast<void>(compare_run({"--wbits", "4", "--seeds", "0,1", "--measurements", "f.json"}));
  };
  EXPECT_THAT(error_of(ErrorKind::kUsage, several), HasSubstr("one calibration draw"));
  EXPECT_EQ(compare_run({"--wbits", "4", "--seeds", "3", "--measurements", "f.json"}).seeds.size(),
            1U);
}

}  // namespace
}  // namespace sgpt_mi::cli

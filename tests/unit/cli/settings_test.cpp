#include "sgpt_mi/cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <regex>
#include <sstream>

#include "flags/completion.h"
#include "runs.h"
#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::cli {
namespace {

using testing::HasSubstr;

TEST(CompressSettings, PatternCountsKeptAndPrunenCountsZeros) {
  const auto kept = compress_run({"--pattern", "1:4"}).compression.matrix;
  EXPECT_EQ(kept.prune_n, 3);
  EXPECT_EQ(kept.prune_m, 4);
  const auto zeroed = compress_run({"--prunen", "1", "--prunem", "4"}).compression.matrix;
  EXPECT_EQ(zeroed.prune_n, 1);
  EXPECT_EQ(zeroed.prune_m, 4);
}

TEST(CompressSettings, PatternWithItsOwnSparsityIsFine) {
  const auto options = compress_run({"--pattern", "2:4", "--sparsity", "0.5"}).compression.matrix;
  EXPECT_EQ(options.prune_n, 2);
  EXPECT_EQ(options.sparsity, 0.0);
}

TEST(CompressSettings, ContradictionsAreNamed) {
  EXPECT_THAT(usage_error({}), HasSubstr("nothing to do"));
  EXPECT_THAT(usage_error({"--pattern", "2:4", "--prunen", "2"}), HasSubstr("give one"));
  EXPECT_THAT(usage_error({"--pattern", "2:4", "--sparsity", "0.6"}), HasSubstr("contradicts"));
  EXPECT_THAT(usage_error({"--pattern", "4:2"}), HasSubstr("0 < N < M"));
  EXPECT_THAT(usage_error({"--pattern", "2-4"}), HasSubstr("N:M"));
  EXPECT_THAT(usage_error({"--prunen", "4", "--prunem", "4"}), HasSubstr("0 < N < M"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--static_groups"}), HasSubstr("--groupsize"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--minlayer", "3", "--maxlayer", "3"}),
              HasSubstr("maxlayer"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--method", "obd"}), HasSubstr("sparsegpt, magnitude"));
}

/// The names in a message that says "there are a, b, c" or "expected a, b or c; ...".
std::vector<std::string> known_names(const std::string& message) {
  std::smatch list;
  EXPECT_TRUE(std::regex_search(message, list, std::regex("(there are|expected) ([^;]*)")));
  std::istringstream words(std::regex_replace(list.str(2), std::regex(",|\\bor\\b"), " "));
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(CompressSettings, ChoicesInTheTableAreThoseOfTheRooms) {
  for (const flags::FlagRow* row : flags::flags_of(flags::kCompress)) {
    const std::string_view key = row->key;
    const std::vector<std::string> choices = flags::value_offer(row->value).choices;
    // Numbers have a range instead of names; the session resolves the device and the type.
    if (choices.size() < 2 || choices[0] == "0" || key == "eval" || key == "device" ||
        key == "dtype") {
      continue;
    }
    const std::string method = key == "sensitivity" ? "rd" : "mi";
    const std::string message = usage_error(
        {"--wbits", "4", "--method", method, std::string("--") + row->key, "no_such_name"});
    std::vector<std::string> known = known_names(message);
    std::erase(known, "channels");  // --use_mi_grouping 0 is the documented way to say it
    EXPECT_THAT(known, testing::UnorderedElementsAreArray(choices)) << message;
  }
}

TEST(CompressSettings, BatchWindowsAreANumberOrAuto) {
  EXPECT_EQ(compress_run({"--wbits", "4"}).compression.batch_windows, 0);
  EXPECT_EQ(compress_run({"--wbits", "4", "--batch_windows", "auto"}).compression.batch_windows, 0);
  EXPECT_EQ(compress_run({"--wbits", "4", "--batch_windows", "8"}).compression.batch_windows, 8);
  for (const char* text : {"0", "-1", "many", "4x", ""}) {
    EXPECT_THAT(usage_error({"--wbits", "4", "--batch_windows", text}), HasSubstr("batch_windows"))
        << text;
  }
}

TEST(CompressSettings, MaxMemoryIsOneSizeOrOneAPlace) {
  EXPECT_EQ(compress_run({"--wbits", "4", "--max_memory", "2GB"}).max_memory.compute,
            2'000'000'000);
  const auto both = compress_run({"--wbits", "4", "--max_memory", "cuda:2GB,host:3GB"}).max_memory;
  EXPECT_EQ(both.device, 2'000'000'000);
  EXPECT_EQ(both.host, 3'000'000'000);
  EXPECT_THAT(usage_error({"--wbits", "4", "--max_memory", "disk:2GB"}), HasSubstr("max_memory"));
}

TEST(CompressSettings, RangesAreNamed) {
  EXPECT_THAT(usage_error({"--wbits", "9"}), HasSubstr("wbits"));
  EXPECT_THAT(usage_error({"--wbits", "1"}), HasSubstr("wbits"));
  EXPECT_THAT(usage_error({"--wbits", "9", "--method", "mi"}), HasSubstr("wbits"));
  EXPECT_THAT(usage_error({"--sparsity", "1"}), HasSubstr("sparsity"));
  EXPECT_THAT(usage_error({"--sparsity", "-0.1"}), HasSubstr("sparsity"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--percdamp", "0"}), HasSubstr("percdamp"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--nsamples", "0"}), HasSubstr("nsamples"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--seqlen", "1"}), HasSubstr("seqlen"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--threads", "-1"}), HasSubstr("threads"));
  EXPECT_THAT(usage_error({"--wbits", "4", "--eval_windows", "-1"}), HasSubstr("eval_windows"));
}

TEST(CompressSettings, ActOrderIsASwitchThatNoPatternAllows) {
  EXPECT_FALSE(compress_run({"--wbits", "4"}).compression.matrix.act_order);
  EXPECT_TRUE(compress_run({"--wbits", "4", "--act_order"}).compression.matrix.act_order);
  EXPECT_THAT(usage_error({"--wbits", "4", "--act_order", "--pattern", "2:4"}),
              HasSubstr("pattern"));
}

TEST(CompressSettings, EvalSetsAreSplitAtCommas) {
  EXPECT_THAT(compress_run({"--wbits", "4", "--eval", "ptb,x.txt"}).eval.sets,
              testing::ElementsAre("ptb", "x.txt"));
  EXPECT_TRUE(compress_run({"--wbits", "4", "--eval", "none"}).eval.sets.empty());
  EXPECT_THAT(usage_error({"--wbits", "4", "--eval", "ptb,,c4"}), HasSubstr("empty name"));
}

TEST(LayerSelection, FollowsTheReferenceScript) {
  walk::LayerSelection selection{1, 3, "fc", false};
  EXPECT_FALSE(selection.contains(0, "fc1"));
  EXPECT_TRUE(selection.contains(1, "fc1"));
  EXPECT_FALSE(selection.contains(1, "self_attn.q_proj"));
  EXPECT_FALSE(selection.contains(3, "fc1"));
  selection.invert = true;
  EXPECT_TRUE(selection.contains(0, "fc1"));
  EXPECT_FALSE(selection.contains(1, "fc1"));
  EXPECT_TRUE(selection.contains(1, "self_attn.q_proj"));
}

}  // namespace
}  // namespace sgpt_mi::cli

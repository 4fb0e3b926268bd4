#include "sgpt_mi/flags/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/flags/version.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::flags {
namespace {

using test::error_of;
using testing::HasSubstr;
using testing::Not;

std::string usage_error(const std::vector<std::string>& arguments) {
  return error_of(ErrorKind::kUsage, [&] { static_cast<void>(parse_arguments(arguments)); });
}

TEST(Arguments, BothSpellingsOfAFlagAreTheSame) {
  const auto dashes = parse_arguments({"compress", "m", "c4", "--true-sequential", "--data-dir=d"});
  const auto underscores =
      parse_arguments({"compress", "m", "c4", "--true_sequential", "--data_dir", "d"});
  EXPECT_TRUE(dashes.settings.values.true_sequential);
  EXPECT_TRUE(underscores.settings.values.true_sequential);
  EXPECT_EQ(dashes.settings.values.data_dir, "d");
  EXPECT_EQ(underscores.settings.values.data_dir, "d");
}

TEST(Arguments, DashesInValuesStay) {
  const auto parsed =
      parse_arguments({"compress", "a-b/c-d", "c4", "--save=out-1", "--minlayer", "-1"});
  EXPECT_EQ(parsed.settings.values.model, "a-b/c-d");
  EXPECT_EQ(parsed.settings.values.save, "out-1");
  EXPECT_EQ(parsed.settings.values.minlayer, -1);
}

TEST(Arguments, FlagBeatsFileBeatsEnvironmentBeatsDefault) {
  const test::TemporaryFolder folder;
  const auto file = folder.file("c.json", R"({"wbits": 3, "data-dir": "from_file", "seed": 5})");
  ASSERT_EQ(setenv("SGPT_MI_DATA", "from_environment", 1), 0);
  const auto resolved =
      parse_arguments({"compress", "m", "c4", "--config", file.string(), "--seed", "7"}).settings;
  const auto no_file = parse_arguments({"compress", "m", "c4"}).settings;
  ASSERT_EQ(unsetenv("SGPT_MI_DATA"), 0);

  EXPECT_EQ(resolved.values.seed, 7U);
  EXPECT_EQ(resolved.values.wbits, 3);
  EXPECT_EQ(resolved.values.data_dir, "from_file");
  EXPECT_EQ(resolved.values.nsamples, 128);
  EXPECT_EQ(no_file.values.data_dir, "from_environment");
  const auto json = config_with_origins(resolved);
  EXPECT_EQ(json["seed"]["from"], "flag");
  EXPECT_EQ(json["wbits"]["from"], "file");
  EXPECT_EQ(json["nsamples"]["from"], "default");
  EXPECT_EQ(config_with_origins(no_file)["data_dir"]["from"], "environment");
}

TEST(Arguments, UnknownNamesOfferTheNearest) {
  EXPECT_THAT(usage_error({"compress", "m", "c4", "--sparcity", "0.5"}),
              HasSubstr("unknown flag --sparcity; did you mean --sparsity?"));
  EXPECT_THAT(usage_error({"compres", "m"}), HasSubstr("did you mean 'compress'?"));
  EXPECT_THAT(usage_error({"eval", "m", "--wbits", "4"}), HasSubstr("unknown flag --wbits"));
  const test::TemporaryFolder folder;
  const auto file = folder.file("c.json", R"({"wbit": 3})");
  EXPECT_THAT(usage_error({"compress", "m", "c4", "--config", file.string()}),
              HasSubstr("unknown key 'wbit'; did you mean 'wbits'?"));
}

TEST(Arguments, ValuesMustParseAsAWhole) {
  EXPECT_THAT(usage_error({"compress", "m", "c4", "--wbits", "4x"}), HasSubstr("--wbits"));
  EXPECT_THAT(usage_error({"compress", "m", "c4", "--wbits", "4x"}),
              HasSubstr("bits of a weight's code"));
  usage_error({"compress", "m", "c4", "--nsamples", "1.5"});
  usage_error({"compress", "m", "c4", "--seed", "-3"});
  usage_error({"compress", "m", "c4", "--sparsity", "half"});
}

TEST(Arguments, PositionalsAreRequired) {
  EXPECT_THAT(usage_error({"compress"}), HasSubstr("MODEL"));
  EXPECT_THAT(usage_error({"compress", "m"}), HasSubstr("DATASET"));
  usage_error({"eval", "m", "unexpected"});
  usage_error({});
}

TEST(Arguments, ConfigFileMustBeAReadableObject) {
  const test::TemporaryFolder folder;
  const auto list = folder.file("list.json", "[1]");
  const auto broken = folder.file("broken.json", "{\"wbits\": ");
  for (const auto& path : {list, broken, folder.path() / "missing.json"}) {
    EXPECT_THAT(error_of(ErrorKind::kInput,
                         [&] {
                           static_cast<void>(
                               parse_arguments({"compress", "m", "c4", "--config", path.string()}));
                         }),
                HasSubstr(path.string()));
  }
  const auto wrong = folder.file("wrong.json", R"({"wbits": "four"})");
  EXPECT_THAT(usage_error({"compress", "m", "c4", "--config", wrong.string()}),
              HasSubstr("an integer"));
}

TEST(Arguments, SomeAskForATextInsteadOfARun) {
  const auto text = [](const std::vector<std::string>& arguments) {
    return parse_arguments(arguments).text.value_or("");
  };
  EXPECT_THAT(text({"--help"}), HasSubstr("tokenize"));
  EXPECT_EQ(text({"--version"}), std::string(kVersion) + "\n");
  EXPECT_THAT(text({"--man"}), HasSubstr(".SH NAME"));
  EXPECT_THAT(text({"completion", "bash"}), HasSubstr("complete -F"));
  for (const char* help : {"--help", "-h"}) {
    EXPECT_THAT(text({"compress", help}), Not(HasSubstr("--true_sequential")));
  }
  for (const char* help : {"--help-all", "--help_all"}) {
    EXPECT_THAT(text({"compress", "--wbits", "4", help}), HasSubstr("--true_sequential"));
  }
}

TEST(Arguments, UnknownShellsNameThoseThatAreKnown) {
  EXPECT_THAT(usage_error({"completion", "tcsh"}), HasSubstr("bash, zsh, fish"));
  EXPECT_THAT(usage_error({"completion"}), HasSubstr("bash|zsh|fish"));
}

TEST(Arguments, QuietAndVerboseContradict) {
  EXPECT_THAT(usage_error({"eval", "m", "--quiet", "--verbose"}), HasSubstr("contradict"));
}

}  // namespace
}  // namespace sgpt_mi::flags

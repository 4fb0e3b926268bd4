#include "flags/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace sgpt_mi::flags {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Whether a line of the list of flags begins with this flag.
bool lists(const std::string& help, const FlagRow& row) {
  const std::string name = flag_names(row)[0];
  return help.find("\n  " + name + " ") != std::string::npos ||
         help.find("\n  " + name + "\n") != std::string::npos ||
         help.find("\n  " + name + ",") != std::string::npos;
}

TEST(Help, ShowsCommonFlagsAndSaysWhereTheOthersAre) {
  for (const CommandRow& command : command_table()) {
    const std::vector<const FlagRow*> flags = flags_of(command.bit);
    const bool few = flags.size() <= 20;
    const std::string common = command_help(command, HelpExtent::kCommon);
    const std::string all = command_help(command, HelpExtent::kAll);
    for (const FlagRow* row : flags) {
      EXPECT_TRUE(lists(all, *row)) << command.name << ' ' << row->key;
      EXPECT_EQ(lists(common, *row), few || row->common) << command.name << ' ' << row->key;
    }
    const std::string pointer =
        "\n--help-all shows all " + std::to_string(flags.size()) + " flags.\n";
    EXPECT_EQ(std::string_view(common).ends_with(pointer), !few) << command.name;
    EXPECT_THAT(all, Not(HasSubstr("--help-all"))) << command.name;
    EXPECT_EQ(common == all, few) << command.name;
  }
}

TEST(Help, AboutTwentyFlagsOfCompressAreCommon) {
  const auto flags = flags_of(kCompress);
  const auto common =
      std::count_if(flags.begin(), flags.end(), [](const FlagRow* row) { return row->common; });
  EXPECT_GE(common, 18);
  EXPECT_LE(common, 24);
}

TEST(Help, PositionalsStayAndDefaultsAreShown) {
  const std::string help = command_help(find_command("compress"), HelpExtent::kCommon);
  EXPECT_THAT(help, HasSubstr("Usage: sgpt-mi compress MODEL DATASET [flags]\n"));
  EXPECT_THAT(help, HasSubstr("\n  MODEL "));
  EXPECT_THAT(help, HasSubstr("\n  DATASET "));
  EXPECT_THAT(help, HasSubstr("\nQuantization:\n"));
  EXPECT_THAT(help, HasSubstr("--method rd|mi|enhanced|toky|sparsegpt|magnitude\n"));
  EXPECT_THAT(help, HasSubstr("[default: 128]"));
  EXPECT_THAT(command_help(find_command("tokenize"), HelpExtent::kCommon),
              HasSubstr("sgpt-mi tokenize MODEL [FILE] [flags]\n"));
  EXPECT_THAT(command_help(find_command("export"), HelpExtent::kCommon),
              HasSubstr("\n  -o, --output DIR"));
}

TEST(Help, NoLineIsLongerThanHundredColumns) {
  std::string text = general_help();
  for (const CommandRow& command : command_table()) text += command_help(command, HelpExtent::kAll);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

TEST(Help, BeginsWithThreeExamplesThenTheSubcommands) {
  const std::string help = general_help();
  std::size_t at = 0;
  for (const Example& example : examples()) {
    const std::size_t found = help.find(std::string("\n") + example.command + "\n", at);
    ASSERT_NE(found, std::string::npos) << example.command;
    at = found;
  }
  at = help.find("\nSubcommands:\n", at);
  ASSERT_NE(at, std::string::npos);
  for (const CommandRow& command : command_table()) {
    EXPECT_NE(help.find(std::string("\n  ") + command.name + " ", at), std::string::npos)
        << command.name;
  }
}

TEST(Help, HeadingsKeepTheOrderOfTheTable) {
  const std::vector<FlagGroup> groups = by_heading(flags_of(kCompress));
  ASSERT_GT(groups.size(), 2U);
  EXPECT_EQ(groups[0].heading, "Calibration");
  EXPECT_EQ(groups[1].heading, "Pruning");
  EXPECT_STREQ(groups[1].rows[0]->key, "method");
  std::size_t flags = 0;
  for (const FlagGroup& group : groups) flags += group.rows.size();
  EXPECT_EQ(flags, flags_of(kCompress).size());
}

}  // namespace
}  // namespace sgpt_mi::flags

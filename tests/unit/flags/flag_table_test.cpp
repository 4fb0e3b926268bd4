#include "sgpt_mi/flags/flag_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::flags {
namespace {

TEST(FlagTable, KeysAreUniqueAndLowerCase) {
  std::set<std::string> keys;
  for (const FlagRow& row : flag_table()) {
    EXPECT_TRUE(keys.insert(row.key).second) << row.key << " stands twice";
    EXPECT_EQ(std::string(row.key).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
              std::string::npos)
        << row.key;
  }
}

TEST(FlagTable, EveryFlagHasHelpAGroupAndACommand) {
  for (const FlagRow& row : flag_table()) {
    EXPECT_GT(std::string(row.help).size(), 10U) << row.key;
    EXPECT_NE(std::string(row.group), "") << row.key;
    EXPECT_NE(row.commands, 0U) << row.key;
    const bool is_switch = std::holds_alternative<bool Settings::*>(row.target);
    EXPECT_EQ(is_switch, std::string(row.value).empty()) << row.key;
  }
}

TEST(FlagTable, DefaultConfigFileEqualsTheCode) {
  std::ifstream stream(SGPT_MI_SOURCE_DIR "/configs/default.json");
  const auto written = nlohmann::ordered_json::parse(stream);
  nlohmann::ordered_json expected = nlohmann::ordered_json::object();
  for (const FlagRow& row : flag_table()) {
    if (row.in_config) expected[row.key] = flag_value(Settings{}, row);
  }
  EXPECT_EQ(written.dump(2), expected.dump(2));
}

TEST(SetFlag, TakesWholeValuesOfTheRightTypeOnly) {
  Settings settings;
  const auto row = [](const std::string& key) -> const FlagRow& {
    for (const FlagRow& candidate : flag_table()) {
      if (key == candidate.key) return candidate;
    }
    throw std::out_of_range(key);
  };
  set_flag(settings, row("wbits"), 3);
  set_flag(settings, row("sparsity"), 1);
  set_flag(settings, row("sym"), true);
  EXPECT_EQ(settings.wbits, 3);
  EXPECT_EQ(settings.sparsity, 1.0);
  EXPECT_TRUE(settings.sym);
  EXPECT_THROW(set_flag(settings, row("wbits"), 3.5), Error);
  EXPECT_THROW(set_flag(settings, row("wbits"), "3"), Error);
  EXPECT_THROW(set_flag(settings, row("wbits"), 1LL << 40), Error);
  EXPECT_THROW(set_flag(settings, row("seed"), -1), Error);
  EXPECT_THROW(set_flag(settings, row("sym"), 1), Error);
  EXPECT_THROW(set_flag(settings, row("save"), nullptr), Error);
}

TEST(NearestName, FindsSlipsAndRefusesOtherWords) {
  const std::vector<std::string> known{"sparsity", "wbits", "nsamples"};
  EXPECT_EQ(nearest_name("sparcity", known), "sparsity");
  EXPECT_EQ(nearest_name("wbit", known), "wbits");
  EXPECT_EQ(nearest_name("nsample", known), "nsamples");
  EXPECT_EQ(nearest_name("temperature", known), "");
}

}  // namespace
}  // namespace sgpt_mi::flags

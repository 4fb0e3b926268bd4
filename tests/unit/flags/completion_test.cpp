#include "flags/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flags/command_table.h"

namespace sgpt_mi::flags {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(ValueOffer, WordsInCapitalsAreKindsAndOthersChoices) {
  EXPECT_EQ(value_offer("auto|cpu|cuda|cuda:N"), (ValueOffer{{"auto", "cpu", "cuda"}}));
  EXPECT_EQ(value_offer("0|1"), (ValueOffer{{"0", "1"}}));
  EXPECT_EQ(value_offer("N"), ValueOffer{});
  EXPECT_EQ(value_offer("N:M"), ValueOffer{});
  EXPECT_EQ(value_offer("FILE"), (ValueOffer{{}, true, false}));
  EXPECT_EQ(value_offer("MODEL"), (ValueOffer{{}, true, false}));
  EXPECT_EQ(value_offer("DIR"), (ValueOffer{{}, false, true}));
  EXPECT_EQ(value_offer("wikitext2,ptb,c4|none|FILE"),
            (ValueOffer{{"wikitext2,ptb,c4", "none"}, true, false}));
  EXPECT_EQ(value_offer(""), ValueOffer{});
}

TEST(Completion, EveryShellKnowsEverySubcommandAndFlag) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell);
    for (const CommandRow& command : command_table()) {
      EXPECT_THAT(script, HasSubstr(command.name)) << shell;
    }
    const std::string dashes = std::string(shell) == "fish" ? "-l " : "--";
    for (const FlagRow& row : flag_table()) {
      EXPECT_THAT(script, HasSubstr(dashes + row.key)) << shell;
    }
    EXPECT_THAT(script, HasSubstr("rd mi enhanced toky sparsegpt magnitude")) << shell;
  }
}

TEST(Completion, HelpIsQuotedAsTheShellReadsIt) {
  const std::string zsh = completion_script("zsh");
  EXPECT_THAT(zsh, StartsWith("#compdef sgpt-mi\n"));
  EXPECT_THAT(zsh, HasSubstr(R"('--wbits=[bits of a weight'\''s code, 2 to 8; 16\: do not)"));
  EXPECT_THAT(zsh, HasSubstr(R"(in \[0, 1); 0\: none]:X: ')"));
  EXPECT_THAT(completion_script("fish"), HasSubstr(R"(-l wbits -x -d 'bits of a weight\'s code)"));
}

}  // namespace
}  // namespace sgpt_mi::flags

#include "flags/manual_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "flags/command_table.h"

namespace sgpt_mi::flags {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(ManualPage, HasEverySubcommandAndEveryFlagOnce) {
  const std::string page = manual_page();
  EXPECT_THAT(page, StartsWith(".TH SGPT\\-MI 1"));
  for (const FlagRow& row : flag_table()) {
    EXPECT_EQ(count(page, std::string("\\-\\-") + row.key + "\\fR"), 1U) << row.key;
  }
  for (const CommandRow& command : command_table()) {
    EXPECT_THAT(page, HasSubstr(std::string("\\fBsgpt\\-mi ") + command.name + "\\fR"));
  }
  EXPECT_THAT(page, HasSubstr("Of: compress, compare, sweep, plan.\n"));
}

TEST(ManualPage, TextIsNoRequest) {
  std::istringstream lines(manual_page());
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line.find('\''), std::string::npos) << line;
    if (line[0] != '.') continue;
    EXPECT_TRUE(std::string("TH SH SS TP PP RS RE br nf fi ")
                    .find(line.substr(1, line.find(' ') - 1) + " ") != std::string::npos)
        << line;
  }
}

}  // namespace
}  // namespace sgpt_mi::flags

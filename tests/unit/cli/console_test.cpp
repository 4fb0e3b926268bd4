#include "cli/console.h"

#include <gtest/gtest.h>

namespace sgpt_mi::cli {
namespace {

TEST(Console, ShowsControlCharactersAsText) {
  EXPECT_EQ(shown("left out: evil\x1b[31mname"), "left out: evil\\x1B[31mname");
  EXPECT_EQ(shown("first\nsecond\r"), "first\nsecond\\r");
  EXPECT_EQ(shown("\xff in a name, \xc3\xa9 in another"), "\\xFF in a name, \xc3\xa9 in another");
  EXPECT_EQ(shown(""), "");
}

}  // namespace
}  // namespace sgpt_mi::cli

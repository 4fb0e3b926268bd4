#include "cli/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sgpt_mi::cli {
namespace {

TEST(Console, ShowsControlCharactersAsText) {
  EXPECT_EQ(shown("left out: evil\x1b[31mname"), "left out: evil\\x1B[31mname");
  EXPECT_EQ(shown("first\nsecond\r"), "first\nsecond\\r");
  EXPECT_EQ(shown("\xff in a name, \xc3\xa9 in another"), "\\xFF in a name, \xc3\xa9 in another");
  EXPECT_EQ(shown(""), "");
}

TEST(Console, ShowsStartAndEndOfALongError) {
  EXPECT_EQ(shown_error("a short\none\r"), "a short\none\\r");
  const std::string text = shown_error("io: the name '" + std::string(100'000, '\0') +
                                       "' is no text; get the file again");
  EXPECT_LT(text.size(), 8000);
  EXPECT_THAT(text, testing::StartsWith("io: the name '\\x00"));
  EXPECT_THAT(text, testing::EndsWith("\\x00' is no text; get the file again"));
}

}  // namespace
}  // namespace sgpt_mi::cli

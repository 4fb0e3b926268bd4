#include "sgpt_mi/core/utf8.h"

#include <gtest/gtest.h>

namespace sgpt_mi {
namespace {

TEST(InvalidUtf8, IsFoundWhereNoCharacterBegins) {
  EXPECT_EQ(first_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("a\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
            std::nullopt);
  for (const std::string_view invalid : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                                         "\xF4\x90\x80\x80", "\xFF", "\xE9 x"}) {
    EXPECT_EQ(first_invalid_utf8(invalid), 0U);
    EXPECT_EQ(first_invalid_utf8("123456789é" + std::string(invalid) + "abcdefgh"), 11U);
  }
}

TEST(Printable, EscapesControlCharactersAndBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("aé▁😀 \"\\"), "aé▁😀 \"\\");
  EXPECT_EQ(printable("a\nb\rc\td\x1B[0m\x7F"), "a\\nb\\rc\\td\\x1B[0m\\x7F");
  EXPECT_EQ(printable("caf\xE9 \xC3"), "caf\\xE9 \\xC3");
  EXPECT_EQ(printable("\xC2\x9B"), "\\xC2\\x9B");  // the control sequence introducer in one byte
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, ExcerptsAreCutAtCharacters) {
  EXPECT_EQ(printable_excerpt("0123456789", 5, 2, 3), "34567");
  EXPECT_EQ(printable_excerpt("0123", 1, 9, 9), "0123");
  EXPECT_EQ(printable_excerpt("ééé", 4, 1, 1), "é");  // not half of the one before
  EXPECT_EQ(printable_excerpt("xééy", 1, 1, 3), "xéé");
  EXPECT_EQ(printable_excerpt("\xE9", 0, 4, 4), "\\xE9");
}

}  // namespace
}  // namespace sgpt_mi

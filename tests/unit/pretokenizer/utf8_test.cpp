#include "sgpt_mi/pretokenizer/utf8.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::pretokenizer {
namespace {

using test::input_error;

TEST(Utf8, EveryLengthIsRead) {
  const std::pair<std::string_view, char32_t> characters[] = {{{"\0", 1}, U'\0'},
                                                              {"a", U'a'},
                                                              {"\x7F", U'\x7F'},
                                                              {"\xC2\x80", U'\x80'},
                                                              {"é", U'é'},
                                                              {"\xDF\xBF", U'\x7FF'},
                                                              {"\xE0\xA0\x80", U'\x800'},
                                                              {"▁", U'▁'},
                                                              {"\xEF\xBF\xBF", U'\xFFFF'},
                                                              {"\xF0\x90\x80\x80", U'\x10000'},
                                                              {"😀", U'😀'},
                                                              {"\xF4\x8F\xBF\xBF", U'\x10FFFF'}};
  for (const auto& [text, value] : characters) {
    EXPECT_EQ(code_point(text), value);
    EXPECT_EQ(character_size(text[0]), text.size());
    EXPECT_NO_THROW(check_utf8(text));
  }
}

TEST(Utf8, FirstAndLastCharacter) {
  EXPECT_EQ(first_character("▁ab"), "▁");
  EXPECT_EQ(last_character("ab😀"), "😀");
  EXPECT_EQ(last_character("a"), "a");
}

TEST(Utf8, RefusesWhatIsNotUtf8) {
  const std::string_view invalid[] = {"\x80",              // a tail without a lead
                                      "\xC3",              // cut
                                      "\xC0\xAF",          // overlong
                                      "\xE0\x80\xAF",      // overlong
                                      "\xED\xA0\x80",      // surrogate
                                      "\xF4\x90\x80\x80",  // above U+10FFFF
                                      "\xFF"};
  for (const std::string_view bytes : invalid) {
    EXPECT_THROW(check_utf8(bytes), Error);
    EXPECT_THROW(check_utf8("12345678" + std::string(bytes)), Error);
  }
  EXPECT_NO_THROW(check_utf8(""));
}

TEST(Utf8, SaysWhere) {
  const std::string error = input_error([] { check_utf8("0123456789\xFF"); });
  EXPECT_NE(error.find("byte 0xFF at offset 10"), std::string::npos) << error;
}

}  // namespace
}  // namespace sgpt_mi::pretokenizer

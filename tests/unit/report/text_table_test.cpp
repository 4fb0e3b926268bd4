#include <gtest/gtest.h>

#include "sgpt_mi/report/document.h"

namespace sgpt_mi::report {
namespace {

TEST(TextTable, AlignsColumnsAndRulesTheHeader) {
  EXPECT_EQ(text_table({{"name", "value"}, {"a", "1"}, {"long name", "100"}}),
            "name       value\n"
            "----------------\n"
            "a              1\n"
            "long name    100\n");
}

TEST(TextTable, CountsCharactersNotBytes) {
  EXPECT_EQ(text_table({{"m", "x"}, {"a", "1 ± 2"}, {"b", "12345"}}),
            "m      x\n"
            "--------\n"
            "a  1 ± 2\n"
            "b  12345\n");
}

TEST(TextTable, ToleratesShortRowsAndNoRows) {
  EXPECT_EQ(text_table({{"a", "b"}, {"only"}}), "a     b\n-------\nonly\n");
  EXPECT_EQ(text_table({}), "");
}

}  // namespace
}  // namespace sgpt_mi::report

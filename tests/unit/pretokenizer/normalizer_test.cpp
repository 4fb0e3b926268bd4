#include "sgpt_mi/pretokenizer/normalizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::pretokenizer {
namespace {

using nlohmann::json;
using test::input_error;
using ::testing::HasSubstr;

std::string normalized(const json& description, const std::string& text) {
  return parse_normalizer(description)->normalize(text);
}

TEST(Normalizers, NullIsTheIdentity) { EXPECT_EQ(normalized(nullptr, "a é"), "a é"); }

TEST(Normalizers, PrependLeavesAnEmptyTextAlone) {
  const json prepend = {{"type", "Prepend"}, {"prepend", "▁"}};
  EXPECT_EQ(normalized(prepend, "a"), "▁a");
  EXPECT_EQ(normalized(prepend, ""), "");
}

TEST(Normalizers, ReplaceTakesTextsAndPatterns) {
  const json text = {{"type", "Replace"}, {"pattern", {{"String", "."}}}, {"content", "!"}};
  EXPECT_EQ(normalized(text, "a.b.."), "a!b!!");
  const json pattern = {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}};
  EXPECT_EQ(normalized(pattern, "  a   b c"), " a b c");
}

TEST(Normalizers, UnicodeForms) {
  EXPECT_EQ(normalized({{"type", "NFC"}}, "e\u0301ﬁ"), "éﬁ");
  EXPECT_EQ(normalized({{"type", "NFD"}}, "éﬁ"), "e\u0301ﬁ");
  EXPECT_EQ(normalized({{"type", "NFKC"}}, "e\u0301ﬁ"), "éfi");
  EXPECT_EQ(normalized({{"type", "NFKD"}}, "éﬁ"), "e\u0301fi");
  EXPECT_EQ(normalized({{"type", "NFC"}}, "plain"), "plain");
  EXPECT_EQ(normalized({{"type", "NFC"}}, std::string("\0é", 3)), std::string("\0é", 3));
}

TEST(Normalizers, SequenceGoesInOrder) {
  const json steps = {{"type", "Sequence"},
                      {"normalizers",
                       {{{"type", "Prepend"}, {"prepend", " "}},
                        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}};
  EXPECT_EQ(normalized(steps, "a b"), "▁a▁b");
}

TEST(Normalizers, OthersAreRefusedByName) {
  for (const char* type : {"Lowercase", "Strip", "BertNormalizer", "Precompiled", "ByteLevel"}) {
    EXPECT_THAT(input_error([&] { return parse_normalizer({{"type", type}}); }), HasSubstr(type));
  }
  EXPECT_THAT(input_error([] {
                return parse_normalizer({{"prepend", "x"}});
              }),
              HasSubstr("'type'"));
}

}  // namespace
}  // namespace sgpt_mi::pretokenizer

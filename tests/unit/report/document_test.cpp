#include "sgpt_mi/report/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sgpt_mi::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Document sample() {
  Document document;
  document.title = "A <b> & \"c\"";
  Section section;
  section.title = "Result";
  section.paragraphs = {"1 < 2 | *really*"};
  section.table = {{"name", "value", "text"}, {"self_attn.q_proj", "-1.5", "a|b"}, {"k", "2", ""}};
  section.pictures = {{"mi matrix.png", "it's a picture", "PNG!"}};
  document.sections = {section};
  return document;
}

TEST(Html, EscapesTextAndEmbedsPictures) {
  const std::string page = to_html(sample());
  EXPECT_THAT(page, HasSubstr("<title>A &lt;b&gt; &amp; &quot;c&quot;</title>"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, HasSubstr("<p>1 &lt; 2 | *really*</p>"));
  EXPECT_THAT(page, HasSubstr("alt=\"it&#39;s a picture\" src=\"data:image/png;base64,UE5HIQ==\""));
}

TEST(Html, NeedsNothingFromOutside) {
  const std::string page = to_html(sample());
  for (const char* outside : {"http:", "https:", "<script", "<link", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
}

TEST(Html, FiguresAreFlushRightAndTextsAreNot) {
  const std::string page = to_html(sample());
  EXPECT_THAT(page, HasSubstr("<td>self_attn.q_proj</td><td class=\"n\">-1.5</td><td>a|b</td>"));
}

TEST(Markdown, EscapesMarkupAndAlignsFigures) {
  const std::string text = to_markdown(sample());
  EXPECT_THAT(text, HasSubstr("# A \\<b\\> \\& \"c\"\n"));
  EXPECT_THAT(text, HasSubstr("1 \\< 2 \\| \\*really\\*"));
  EXPECT_THAT(text, HasSubstr("| name | value | text |\n|---|---:|---|\n"
                              "| self_attn.q_proj | -1.5 | a\\|b |\n"));
  EXPECT_THAT(text, HasSubstr("![it's a picture](<mi matrix.png>)"));
}

TEST(Text, HasTitlesParagraphsAndTables) {
  EXPECT_EQ(
      to_text({{"One", {"Words."}, {{"a", "b"}, {"x", "1"}}, {}}, {"Two", {"More."}, {}, {}}}),
      "One\n\nWords.\n\na  b\n----\nx  1\n\nTwo\n\nMore.\n");
}

TEST(Csv, QuotesAsOfRfc4180) {
  EXPECT_EQ(to_csv({{"a", "b"}, {"1,5", "say \"no\""}, {"two\nlines", ""}, {" plain ", "x"}}),
            "a,b\r\n\"1,5\",\"say \"\"no\"\"\"\r\n\"two\nlines\",\r\n plain ,x\r\n");
  EXPECT_EQ(to_csv({}), "");
}

}  // namespace
}  // namespace sgpt_mi::report

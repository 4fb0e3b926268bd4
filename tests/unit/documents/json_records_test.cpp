#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/documents/documents.h"
#include "support/packers.h"
#include "support/shared_data.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::documents {
namespace {

using test::gzip;
using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::size_t kAll = 1'000'000;

/// The texts of a file of this name.
std::vector<std::string> texts_of(const std::string& name, std::string_view bytes,
                                  const std::string& key = {}) {
  const TemporaryFolder folder;
  const auto path = folder.file(name, bytes);
  EXPECT_TRUE(holds_documents(path)) << bytes;
  return read_documents(path, kAll, key);
}

std::string record_error(const std::string& name, std::string_view bytes,
                         const std::string& key = {}) {
  const TemporaryFolder folder;
  const auto path = folder.file(name, bytes);
  return input_error([&] { (void)read_documents(path, kAll, key); });
}

constexpr const char* kThreeLines =
    "{\"text\": \"one\", \"url\": \"u\", \"meta\": {\"text\": \"inner\", \"n\": [1, null, true]}}\n"
    "\r\n"
    "{\"n\": 2.5, \"text\": \"two\\nlines \\u00e9\"}\r\n"
    "{\"text\": \"\"}";

TEST(JsonRecords, LinesAreKnownByTheirContentWhateverTheName) {
  for (const char* name : {"d.jsonl", "d.json", "d.ndjson", "d.jsonlines", "d.JSONL", "d.jl",
                           "d.txt", "d", "d.parquet", "d.csv", "d.jsonl.gz"}) {
    EXPECT_THAT(texts_of(name, kThreeLines), ElementsAre("one", "two\nlines \u00e9", ""));
  }
  for (const std::string& packed :
       {gzip(kThreeLines), test::zstd(kThreeLines), test::xz(kThreeLines)}) {
    EXPECT_THAT(texts_of("d", packed), ElementsAre("one", "two\nlines \u00e9", ""));
  }
  EXPECT_THAT(texts_of("d.txt", "\xEF\xBB\xBF" + std::string(kThreeLines)).size(), 3U);
}

TEST(JsonRecords, EndingsInAnyCaseNameThem) {
  EXPECT_THAT(texts_of("e.jsonl", ""), IsEmpty());
  for (const char* name : {"c4-train.00000.json.gz", "a/B.JSONL", "b.ndjson.zst", "b.jl",
                           "b.jsonlines.xz", "b.parquet", "b.PQ", "b.arrow", "b.feather"}) {
    EXPECT_TRUE(is_document_file(name)) << name;
  }
  for (const char* name : {"wiki.txt", "wiki.txt.gz", "b.csv", "json", "b.jsonl.txt"}) {
    EXPECT_FALSE(is_document_file(name)) << name;
  }
}

TEST(JsonRecords, TextThatLooksLikeJsonIsText) {
  const TemporaryFolder folder;
  for (const char* text : {"", "{", "{}", "[1]", "[1] A footnote.\n", "[\"Halt\"] he said.",
                           "{% if x %}\n{\"a\": 1}", "{\"a\": 1}\nand then\n", "{ \"key\" }",
                           "[citation needed]", "\"a\"", "12", "{\"a\": 1,}"}) {
    EXPECT_FALSE(holds_documents(folder.file("t.txt", text))) << text;
  }
  EXPECT_THAT(input_error([&] { (void)read_documents(folder.file("t.txt", "prose")); }),
              AllOf(HasSubstr("t.txt is a text"), HasSubstr("JSON lines")));
}

TEST(JsonRecords, ArraysGiveTheirElements) {
  EXPECT_THAT(texts_of("a.json", "[{\"text\": \"one\"},\n {\"id\": 1, \"text\": \"two\"}]"),
              ElementsAre("one", "two"));
  EXPECT_THAT(texts_of("a.json", "\xEF\xBB\xBF[\n \"one\",\n \"two\"\n]\n"),
              ElementsAre("one", "two"));
  EXPECT_THAT(texts_of("a.txt", " [{\"text\": \"one\"}]"), ElementsAre("one"));
  EXPECT_THAT(texts_of("a.json", "[]"), IsEmpty());
  EXPECT_THAT(texts_of("a.jsonl", "[{\"text\": \"one\"}]\n{\"text\": \"two\"}\n"),
              ElementsAre("one", "two"));
}

TEST(JsonRecords, ObjectsOverSeveralLinesAreRecords) {
  EXPECT_THAT(texts_of("o.json", "{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n"),
              ElementsAre("one", "two"));
}

TEST(JsonRecords, BadElementsOfArraysAreNamedByRecord) {
  EXPECT_THAT(record_error("a.json", "[{\"text\": \"a\"}, {\"body\": \"b\"}]"),
              AllOf(HasSubstr("a.json record 2 has no \"text\""), HasSubstr("keys are: body")));
  EXPECT_THAT(record_error("a.json", "[{\"text\": \"a\"}, 3]"),
              HasSubstr("a.json record 2 is a number"));
  EXPECT_THAT(record_error("a.json", "[[1, 2]]"), HasSubstr("a.json record 1 is an array"));
  EXPECT_THAT(record_error("a.json", "[{\"text\": \"a\"},"),
              HasSubstr("a.json record 2 is not valid JSON"));
}

TEST(JsonRecords, StopAtTheLimit) {
  const TemporaryFolder folder;
  const auto lines = folder.file("d.jsonl", "{\"text\":\"one\"}\nnot json");
  EXPECT_THAT(read_documents(lines, 0), IsEmpty());
  EXPECT_THAT(read_documents(lines, 1), ElementsAre("one"));
  EXPECT_THAT(input_error([&] { (void)read_documents(lines, 2); }),
              AllOf(HasSubstr("d.jsonl line 2"), HasSubstr("not valid JSON")));
  const auto array = folder.file("d.json", "[{\"text\":\"one\"}, {\"text\":\"two\"}, not json");
  EXPECT_THAT(read_documents(array, 2), ElementsAre("one", "two"));
}

TEST(JsonRecords, LongerThanTheBufferAreWhole) {
  const std::string text(150'000, 'y');
  const std::string one = "{\"text\":\"" + text + "\"}";
  EXPECT_THAT(texts_of("d.txt", one + "\n{\"text\":\"z\"}\n"), ElementsAre(text, "z"));
  EXPECT_THAT(texts_of("d.txt", "[" + one + ",\n{\"text\":\"z\"}]"), ElementsAre(text, "z"));
}

TEST(JsonRecords, WithoutATextAreNamedByLine) {
  for (const auto& [line, why] :
       {std::pair("{}", "has no \"text\", \"sentence\", \"messages\" or \"conversations\""),
        std::pair("3", "is a number"), std::pair("\"text\"", "is a string"),
        std::pair("{\"text\":null}", "has null as \"text\""),
        std::pair("{\"text\":1}", "has a number or a boolean as \"text\""),
        std::pair("{\"text\":{\"a\":\"b\"}}", "has an object as \"text\""),
        std::pair("{\"text\":[1,2]}", "has a list without texts as \"text\""),
        std::pair("{\"a\":{\"text\":\"a\"},\"b\":[{\"c\":1}]}",
                  "its keys are: a, a.text, b; name")}) {
    EXPECT_THAT(record_error("d.jsonl", std::string("\n{\"text\":\"a\"}\n") + line),
                AllOf(HasSubstr("d.jsonl line 3 "), HasSubstr(why)));
  }
}

TEST(JsonRecords, SyntaxErrorsAreNamedByLine) {
  for (const char* line : {"{", "{\"text\":\"a\"} x", "{'text':'a'}", "{\"text\":\"a"}) {
    EXPECT_THAT(record_error("d.jsonl", std::string("{\"text\":\"a\"}\n") + line),
                AllOf(HasSubstr("d.jsonl line 2"), HasSubstr("not valid JSON")))
        << line;
  }
  const std::string message = record_error("d.jsonl", "{\"text\":\"" + std::string(9000, 'x'));
  EXPECT_LT(message.size(), 600U) << message;  // without the text that was read so far
}

TEST(JsonRecords, BytesThatAreNotUtf8AreShownWithTheirPlace) {
  const std::string line = "{\"text\":\"a\"}\n";
  EXPECT_THAT(record_error("d.jsonl", line + "{\"text\":\"A caf\xE9 in Paris\"}\n"),
              AllOf(HasSubstr("d.jsonl: byte 0xE9 at offset 27 is not UTF-8"),
                    HasSubstr("\\xE9 in Paris")));
  EXPECT_THAT(record_error("d.jsonl", line + "{\"text\":\"\xFF\"}"),
              HasSubstr("byte 0xFF at offset 22 is not UTF-8"));
  std::string lines;
  while (lines.size() < 200'000) lines += line;  // beyond the first buffers
  const std::string bad = lines + "{\"text\":\"caf\xC3\"}\n";
  EXPECT_THAT(record_error("d.json.gz", gzip("[" + bad)), Not(HasSubstr("UTF-8")));  // no commas
  EXPECT_THAT(
      record_error("d.json.zst", test::zstd(bad)),
      HasSubstr(fmt::format("byte 0xC3 at offset {} of the text that zstd packs is not UTF-8",
                            lines.size() + 12)));
}

TEST(JsonRecords, TheTextMayStandUnderAnotherKey) {
  EXPECT_THAT(texts_of("d.jsonl", "{\"text\": \"a\", \"body\": \"b\"}", "body"), ElementsAre("b"));
  EXPECT_THAT(texts_of("d.jsonl", "{\"meta\": {\"x\": 1, \"body\": \"b\"}}\n{\"meta.body\": \"c\"}",
                       "meta.body"),
              ElementsAre("b", "c"));
  EXPECT_THAT(texts_of("d.jsonl", "{\"sentence\": \"s\"}\n{\"sentence\": \"s\", \"text\": \"t\"}"),
              ElementsAre("s", "t"));
  EXPECT_THAT(
      record_error("d.jsonl", "{\"content\": \"c\", \"id\": 1}"),
      AllOf(HasSubstr("its keys are: content, id; name the one with the text by --text_key")));
  EXPECT_THAT(record_error("d.jsonl", "{\"text\": \"c\\n\", \"a\\u001bb\": 1}", "body"),
              AllOf(HasSubstr("has no \"body\""), HasSubstr("text, a\\x1Bb;")));
}

TEST(JsonRecords, MessagesAreJoinedByNewlines) {
  EXPECT_THAT(texts_of("d.jsonl", R"({"messages": [{"role": "user", "content": "Hi"},
                                      {"role": "assistant", "content": null},
                                      {"role": "user", "content": [{"type": "text", "text": "a"},
                                       {"type": "image", "url": "u"}, {"type": "text", "text": "b"}]}],
                                      "id": "content"})"),
              ElementsAre("Hi\na\nb"));
  EXPECT_THAT(texts_of("d.jsonl", R"({"conversations": [{"from": "human", "value": "Hi"},
                                                        {"from": "gpt", "value": "Ho"}]})"),
              ElementsAre("Hi\nHo"));
  EXPECT_THAT(texts_of("d.jsonl", R"({"dialog": ["Hi", "Ho"]})", "dialog"), ElementsAre("Hi\nHo"));
  EXPECT_THAT(record_error("d.jsonl", R"({"messages": []})"),
              HasSubstr("has a list without texts as \"messages\""));
}

TEST(JsonRecords, CutGzipIsAnErrorOnlyWhenReadThatFar) {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "{\"text\":\"" + std::to_string(i * i) + "\"}\n";
  const std::string packed = gzip(lines);
  const auto path = folder.file("d.jsonl.gz", packed.substr(0, packed.size() - 10));
  EXPECT_EQ(read_documents(path, 10).size(), 10U);
  EXPECT_THAT(input_error([&] { (void)read_documents(path); }), HasSubstr("is cut"));
}

TEST(JsonRecords, C4SampleHasItsDocumentedCount) {
  SGPT_MI_SHARED_OR_SKIP(path, "data/c4/c4-train.sample.json.gz");
  EXPECT_EQ(read_documents(path).size(), 1000U);
  EXPECT_EQ(read_documents(path, 3).size(), 3U);
}

TEST(JsonRecords, NumbersThatPythonWritesAreNumbers) {
  const std::string line =
      R"({"a": NaN, "b": [Infinity,-Infinity, NaN], "text": "NaN, \"Infinity", "z":NaN})";
  EXPECT_THAT(texts_of("d", line + "\n" + line),
              ElementsAre(R"(NaN, "Infinity)", R"(NaN, "Infinity)"));
  // Words that lie across the places where the reader goes on.
  constexpr std::size_t kPiece = 1 << 16;
  for (std::size_t shift = 0; shift < line.size(); ++shift) {
    const std::string padding(kPiece - shift, ' ');
    EXPECT_THAT(texts_of("d.jsonl", padding + line), ElementsAre(R"(NaN, "Infinity)")) << shift;
  }
  for (const char* bad : {"1NaN", "NaN1", "NaNs", "nan", "-NaN", "Infinit", "--Infinity"}) {
    EXPECT_THAT(record_error("d.jsonl", fmt::format(R"({{"a": {}, "text": "t"}})", bad)),
                HasSubstr("not valid JSON"))
        << bad;
  }
}

TEST(JsonRecords, ASyntaxErrorHasOnePlace) {
  EXPECT_THAT(
      record_error("d.jsonl", "{\"text\": \"a\"}\n\n{\"text\": }"),
      AllOf(HasSubstr("d.jsonl line 3 is not valid JSON: syntax error"), Not(HasSubstr("column"))));
}

}  // namespace
}  // namespace sgpt_mi::documents

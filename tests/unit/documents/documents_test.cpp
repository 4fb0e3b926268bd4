#include "sgpt_mi/documents/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "support/shared_data.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::documents {
namespace {

using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One gzip member that holds `text`.
std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST(ReadTextFile, PlainAndPackedGiveTheSameBytes) {
  const TemporaryFolder folder;
  const std::string text = std::string("a\n\0b", 4) + std::string(200'000, 'x');
  EXPECT_EQ(read_text_file(folder.file("t.txt", text)), text);
  EXPECT_EQ(read_text_file(folder.file("t.txt.gz", gzip(text))), text);
  EXPECT_EQ(read_text_file(folder.file("empty.txt", "")), "");
  EXPECT_EQ(read_text_file(folder.file("empty.gz", gzip(""))), "");
}

TEST(ReadTextFile, GzipMembersJoinAndPaddingIsIgnored) {
  const TemporaryFolder folder;
  const std::string members = gzip("one ") + gzip("") + gzip("two") + std::string(7, '\0');
  EXPECT_EQ(read_text_file(folder.file("t.gz", members)), "one two");
}

TEST(ReadTextFile, EveryCutOfAGzipFileIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = gzip("some text that is worth packing");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto path = folder.file("cut.gz", whole.substr(0, size));
    EXPECT_THAT(input_error([&] { (void)read_text_file(path); }),
                AllOf(HasSubstr("cut.gz"), HasSubstr("is cut")))
        << size;
  }
}

TEST(ReadTextFile, DamagedGzipIsRefused) {
  const TemporaryFolder folder;
  std::string damaged = gzip("some text that is worth packing");
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // in the CRC
  EXPECT_THAT(input_error([&] { (void)read_text_file(folder.file("d.gz", damaged)); }),
              AllOf(HasSubstr("d.gz"), HasSubstr("data check")));
  EXPECT_THAT(input_error([&] { (void)read_text_file(folder.file("n.gz", "plain text")); }),
              AllOf(HasSubstr("n.gz"), HasSubstr("not gzip")));
  EXPECT_THAT(input_error([&] { (void)read_text_file(folder.file("t.gz", gzip("a") + "rest")); }),
              HasSubstr("not gzip"));
}

constexpr const char* kThreeLines =
    "{\"text\": \"one\", \"url\": \"u\", \"meta\": {\"text\": \"inner\", \"n\": [1, null, true]}}\n"
    "\r\n"
    "{\"n\": 2.5, \"text\": \"two\\nlines \\u00e9\"}\r\n"
    "{\"text\": \"\"}";

TEST(ReadDocuments, JsonLinesGiveTheirTexts) {
  const TemporaryFolder folder;
  for (const char* name : {"d.jsonl", "d.json"}) {
    EXPECT_THAT(read_documents(folder.file(name, kThreeLines)),
                ElementsAre("one", "two\nlines \u00e9", ""));
  }
  EXPECT_THAT(read_documents(folder.file("d.json.gz", gzip(kThreeLines)), 2),
              ElementsAre("one", "two\nlines \u00e9"));
  EXPECT_THAT(read_documents(folder.file("e.jsonl", "")), IsEmpty());
}

TEST(ReadDocuments, StopsReadingAtTheLimit) {
  const TemporaryFolder folder;
  const auto path = folder.file("d.jsonl", "{\"text\":\"one\"}\nnot json");
  EXPECT_THAT(read_documents(path, 0), IsEmpty());
  EXPECT_THAT(read_documents(path, 1), ElementsAre("one"));
  EXPECT_THAT(input_error([&] { (void)read_documents(path, 2); }),
              AllOf(HasSubstr("d.jsonl line 2"), HasSubstr("not valid JSON")));
}

TEST(ReadDocuments, LinesLongerThanTheBufferAreWhole) {
  const TemporaryFolder folder;
  const std::string text(150'000, 'y');
  const auto path = folder.file("d.jsonl", "{\"text\":\"" + text + "\"}\n{\"text\":\"z\"}\n");
  EXPECT_THAT(read_documents(path), ElementsAre(text, "z"));
}

TEST(ReadDocuments, RecordsWithoutATextAreNamedByLine) {
  const TemporaryFolder folder;
  for (const char* line : {"{}", "3", "\"text\"", "[{\"text\":\"a\"}]", "{\"text\":null}",
                           "{\"text\":[\"a\"]}", "{\"a\":{\"text\":\"a\"}}"}) {
    const auto path = folder.file("d.jsonl", std::string("\n{\"text\":\"a\"}\n") + line);
    EXPECT_THAT(input_error([&] { (void)read_documents(path); }),
                AllOf(HasSubstr("d.jsonl line 3"), HasSubstr("member \"text\"")))
        << line;
  }
  for (const char* line : {"{", "{\"text\":\"a\"} x", "{\"text\":\"\xff\"}", "{'text':'a'}"}) {
    const auto path = folder.file("d.jsonl", line);
    EXPECT_THAT(input_error([&] { (void)read_documents(path); }),
                AllOf(HasSubstr("d.jsonl line 1"), HasSubstr("not valid JSON")))
        << line;
  }
}

TEST(ReadDocuments, CutGzipIsAnErrorOnlyWhenReadThatFar) {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "{\"text\":\"" + std::to_string(i * i) + "\"}\n";
  const std::string packed = gzip(lines);
  const auto path = folder.file("d.jsonl.gz", packed.substr(0, packed.size() - 10));
  EXPECT_EQ(read_documents(path, 10).size(), 10U);
  EXPECT_THAT(input_error([&] { (void)read_documents(path); }), HasSubstr("is cut"));
}

TEST(ReadDocuments, OtherNamesAreRefused) {
  EXPECT_TRUE(is_document_file("a/b.parquet"));
  EXPECT_TRUE(is_document_file("c4-train.00000.json.gz"));
  EXPECT_FALSE(is_document_file("wiki.txt"));
  EXPECT_FALSE(is_document_file("wiki.txt.gz"));
  EXPECT_THAT(input_error([] { (void)read_documents("wiki.txt"); }),
              AllOf(HasSubstr("wiki.txt"), HasSubstr(".jsonl")));
}

TEST(ReadDocuments, C4SampleHasItsDocumentedCount) {
  SGPT_MI_SHARED_OR_SKIP(path, "data/c4/c4-train.sample.json.gz");
  EXPECT_EQ(read_documents(path).size(), 1000U);
  EXPECT_EQ(read_documents(path, 3).size(), 3U);
}

}  // namespace
}  // namespace sgpt_mi::documents

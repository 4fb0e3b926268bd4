#include "sgpt_mi/documents/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packers.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::documents {
namespace {

using namespace std::string_view_literals;
using test::gzip;
using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// What read_text says of a file of this name.
std::string text_error(const std::string& name, std::string_view bytes) {
  const TemporaryFolder folder;
  const auto path = folder.file(name, bytes);
  return input_error([&] { (void)read_text(path); });
}

TEST(ReadTextFile, PlainAndPackedGiveTheSameBytes) {
  const TemporaryFolder folder;
  const std::string text = std::string("\xFF\r\n\0b", 5) + std::string(200'000, 'x');
  EXPECT_EQ(read_text_file(folder.file("t.txt", text)), text);
  EXPECT_EQ(read_text_file(folder.file("t.txt.gz", gzip(text))), text);
  EXPECT_EQ(read_text_file(folder.file("t.zst", test::zstd(text))), text);
  EXPECT_EQ(read_text_file(folder.file("t.xz", test::xz(text))), text);
  EXPECT_EQ(read_text_file(folder.file("empty.txt", "")), "");
  EXPECT_EQ(read_text_file(folder.file("empty.gz", gzip(""))), "");
}

TEST(ReadText, PackedFilesGiveTheirText) {
  const TemporaryFolder folder;
  const std::string text = "first line\n" + std::string(200'000, 'x') + "é\n";
  for (const auto& [name, bytes] : {std::pair("t.txt", text), std::pair("t.txt.gz", gzip(text)),
                                    std::pair("t.zst", test::zstd(text)),
                                    std::pair("t", test::xz(text)), std::pair("u.gz", text)}) {
    const auto path = folder.file(name, bytes);
    EXPECT_EQ(read_text(path), text) << name;
    EXPECT_FALSE(holds_documents(path)) << name;
  }
  EXPECT_EQ(read_text(folder.file("empty.txt", "")), "");
}

TEST(ReadText, CutAndDamagedFilesAreNamed) {
  EXPECT_THAT(text_error("t.gz", gzip("some text").substr(0, 20)),
              AllOf(HasSubstr("t.gz"), HasSubstr("gzip"), HasSubstr("is cut")));
  EXPECT_THAT(text_error("t.jsonl.zst", "\x28\xB5\x2F\xFD\x00\x01\x02"sv),
              AllOf(HasSubstr("t.jsonl.zst"), HasSubstr("zstd")));
}

// As open() of Python 3.11 in text mode: encoding utf-8-sig, universal newlines.
TEST(ReadText, MarksAndForeignNewlinesAreTaken) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_text(folder.file("t.txt", "\xEF\xBB\xBFone\r\ntwo\rthree\n\r\r\n\nend\r")),
            "one\ntwo\nthree\n\n\n\nend\n");
  EXPECT_EQ(read_text(folder.file("m.txt", "\xEF\xBB\xBF")), "");
}

TEST(ReadText, BytesThatAreNotUtf8AreShownWithTheirPlace) {
  const std::string text = "\xEF\xBB\xBFone\r\nA caf\xE9 in\tParis, then more of it\n";
  EXPECT_THAT(text_error("latin.txt", text),
              AllOf(HasSubstr("latin.txt: byte 0xE9 at offset 13 is not UTF-8"),
                    HasSubstr("\"\xEF\xBB\xBFone\\r\\nA caf\\xE9 in\\tParis, then\""),
                    HasSubstr("iconv -f LATIN1")));
  EXPECT_THAT(text_error("latin.txt.gz", gzip(text)),
              HasSubstr("byte 0xE9 at offset 13 of the text that gzip packs is not UTF-8"));
  EXPECT_THAT(text_error("cut.txt", "caf\xC3"), HasSubstr("byte 0xC3 at offset 3"));
  EXPECT_THAT(input_error([] { require_utf8("\xFF", "standard input"); }),
              HasSubstr("standard input: byte 0xFF at offset 0"));
}

TEST(ReadText, WhatIsNoTextIsCalledByItsName) {
  EXPECT_THAT(text_error("w.txt", "\xFF\xFEz\0b\0"sv), HasSubstr("holds UTF-16 text; expected"));
  EXPECT_THAT(text_error("w.jsonl", "\xFE\xFF\0{\0}"sv), HasSubstr("UTF-16 text"));
  EXPECT_THAT(text_error("w.txt", "\xFF\xFE\0\0a\0\0\0"sv), HasSubstr("UTF-32 text"));
  EXPECT_THAT(text_error("w.txt", "a\0b\0c\0"sv), HasSubstr("zero bytes, as UTF-16"));
  EXPECT_THAT(text_error("d.jsonl.bz2", "BZh91AY&SY\0\0"sv), HasSubstr("bzip2 data"));
  EXPECT_THAT(text_error("d.docx", "PK\x03\x04..."), HasSubstr("a zip archive"));
  EXPECT_THAT(text_error("d.pdf", "%PDF-1.7\n"), HasSubstr("a PDF document"));
  EXPECT_THAT(text_error("d.tgz", gzip(std::string(257, 'n') + "ustar")),
              HasSubstr("a tar archive packed by gzip"));
  EXPECT_THAT(text_error("d.parquet.gz", gzip("PAR1....")),
              HasSubstr("a parquet file packed by gzip"));
}

TEST(ReadText, TablesAreRefusedByTheirName) {
  for (const char* name : {"d.csv", "D.CSV", "d.tsv"}) {
    EXPECT_THAT(text_error(name, "text,label\n\"a\",1\n"), HasSubstr("a table by its name"));
  }
  EXPECT_THAT(text_error("d.csv.gz", gzip("text,label\n")),
              HasSubstr("a table by its name (.csv)"));
}

TEST(ReadText, PointersOfGitLfsAreCalledOnes) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n";
  for (const char* name : {"t.txt", "d.jsonl", "d.parquet", "d.json.gz", "d.arrow"}) {
    EXPECT_THAT(text_error(name, pointer), HasSubstr("is a Git LFS pointer"));
  }
}

TEST(ReadText, NamesAreShownWithoutControlCharacters) {
  EXPECT_THAT(text_error("a\nb\x1B.txt", "\xFF"), HasSubstr("a\\nb\\x1B.txt: byte"));
}

}  // namespace
}  // namespace sgpt_mi::documents

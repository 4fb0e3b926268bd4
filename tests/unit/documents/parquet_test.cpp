#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "sgpt_mi/documents/documents.h"
#include "support/temporary_folder.h"
#include "table.h"

namespace sgpt_mi::documents {
namespace {

using test::column_of;
using test::input_error;
using test::read_all;
using test::strings;
using test::TemporaryFolder;
using test::Values;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kAll = 1000;

/// Writes a parquet file with a number column "n" and this one, two rows to a row group, with
/// Arrow's types in the file as pyarrow and pandas leave them there.
std::filesystem::path write_parquet(const TemporaryFolder& folder, const std::string& name,
                                    const std::shared_ptr<arrow::Array>& column) {
  const std::filesystem::path path = folder.path() / "d.parquet";
  const auto file = *arrow::io::FileOutputStream::Open(path.string());
  const auto properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  EXPECT_TRUE(parquet::arrow::WriteTable(*test::table_of(name, column),
                                         arrow::default_memory_pool(), file, 2,
                                         parquet::default_writer_properties(), properties)
                  .ok());
  EXPECT_TRUE(file->Close().ok());
  return path;
}

TEST(ReadParquet, TakesTextElseSentenceOverRowGroups) {
  const TemporaryFolder folder;
  const Values values{"one", "", "t\u00e9xt", "four", "five"};
  const auto path = write_parquet(folder, "text", strings(values));
  EXPECT_THAT(read_documents(path), ElementsAre("one", "", "t\u00e9xt", "four", "five"));
  EXPECT_THAT(read_documents(path, 3), ElementsAre("one", "", "t\u00e9xt"));
  EXPECT_TRUE(read_documents(path, 0).empty());
  const auto large =
      write_parquet(folder, "sentence", column_of<arrow::LargeStringBuilder>(values));
  EXPECT_THAT(read_documents(large, 2), ElementsAre("one", ""));
}

TEST(ReadParquet, IsKnownByItsContent) {
  const TemporaryFolder folder;
  const std::string bytes = read_all(write_parquet(folder, "text", strings({"one"})));
  const auto path = folder.file("data.txt", bytes);
  EXPECT_TRUE(holds_documents(path));
  EXPECT_THAT(read_documents(path), ElementsAre("one"));
}

TEST(ReadParquet, TextsMayBeOfAnyTypeOfText) {
  const TemporaryFolder folder;
  const Values values{"one", "two", "one", "t\u00e9xt", "two"};
  for (const auto& column :
       {strings(values), column_of<arrow::LargeStringBuilder>(values), test::dictionary(values),
        column_of<arrow::StringViewBuilder>(values), column_of<arrow::BinaryBuilder>(values),
        column_of<arrow::LargeBinaryBuilder>(values)}) {
    EXPECT_THAT(read_documents(write_parquet(folder, "text", column)),
                ElementsAre("one", "two", "one", "t\u00e9xt", "two"))
        << column->type()->ToString();
  }
}

TEST(ReadParquet, OtherColumnsAndFieldsCanBeNamed) {
  const TemporaryFolder folder;
  const auto body = write_parquet(folder, "body", strings({"one"}));
  EXPECT_THAT(read_documents(body, kAll, "body"), ElementsAre("one"));
  const auto nested = write_parquet(folder, "meta", test::nested({"one", "two", "three"}));
  EXPECT_THAT(read_documents(nested, kAll, "meta.body"), ElementsAre("one", "two", "three"));
  EXPECT_THAT(
      input_error([&] { (void)read_documents(nested); }),
      HasSubstr("its columns are: n, meta, meta.n, meta.body; name the one with the text by "
                "--text_key"));
}

TEST(ReadParquet, MessagesAreJoinedByNewlines) {
  const TemporaryFolder folder;
  EXPECT_THAT(read_documents(write_parquet(folder, "messages", test::messages())),
              ElementsAre("Hi\nHo", "a"));
}

TEST(ReadParquet, NullAndMissingColumnsAreNamed) {
  const TemporaryFolder folder;
  for (const auto& column : {strings({"one", "two", {}}), test::dictionary({"one", "two", {}})}) {
    const auto null = write_parquet(folder, "text", column);
    EXPECT_THAT(input_error([&] { (void)read_documents(null); }),
                AllOf(HasSubstr("d.parquet row 3"), HasSubstr("no text")));
  }
  const auto other = write_parquet(folder, "body", strings({"one"}));
  EXPECT_THAT(input_error([&] { (void)read_documents(other); }),
              AllOf(HasSubstr("has no \"text\""), HasSubstr("columns are: n, body")));
  EXPECT_THAT(input_error([&] { (void)read_documents(other, kAll, "n"); }),
              AllOf(HasSubstr("int32"), HasSubstr("strings were expected")));
}

TEST(ReadParquet, BytesThatAreNotUtf8AreShownWithTheirRow) {
  const TemporaryFolder folder;
  const auto path =
      write_parquet(folder, "text", column_of<arrow::BinaryBuilder>({"a", "b", "caf\xE9 x"}));
  EXPECT_THAT(input_error([&] { (void)read_documents(path); }),
              AllOf(HasSubstr("d.parquet: byte 0xE9 at offset 3 of the text of row 3 is not UTF-8"),
                    HasSubstr("\"caf\\xE9 x\"")));
}

TEST(ReadParquet, DamagedFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string whole = read_all(write_parquet(folder, "text", strings({"one", "two"})));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 1}) {
    const auto cut = folder.file("cut.parquet", whole.substr(0, size));
    EXPECT_THAT(input_error([&] { (void)read_documents(cut); }),
                AllOf(HasSubstr("cut.parquet"), HasSubstr("as parquet")));
  }
  EXPECT_THAT(input_error([&] { (void)read_documents(folder.path() / "none.parquet"); }),
              HasSubstr("none.parquet"));
}

}  // namespace
}  // namespace sgpt_mi::documents

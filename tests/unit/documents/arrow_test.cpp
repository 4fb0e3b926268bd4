#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

/// Writes a number column "n" and this one, two rows to a batch: as a stream, like
/// datasets.save_to_disk, or as a file, like Feather.
std::filesystem::path write_arrow(const TemporaryFolder& folder, bool stream,
                                  const std::string& name,
                                  const std::shared_ptr<arrow::Array>& column) {
  const std::filesystem::path path = folder.path() / "data-00000-of-00001.arrow";
  const auto table = test::table_of(name, column);
  const auto file = *arrow::io::FileOutputStream::Open(path.string());
  const auto writer = stream ? *arrow::ipc::MakeStreamWriter(file, table->schema())
                             : *arrow::ipc::MakeFileWriter(file, table->schema());
  EXPECT_TRUE(writer->WriteTable(*table, 2).ok());
  EXPECT_TRUE(writer->Close().ok());
  EXPECT_TRUE(file->Close().ok());
  return path;
}

class ReadArrow : public ::testing::TestWithParam<bool> {
 protected:
  std::filesystem::path write(const std::string& name,
                              const std::shared_ptr<arrow::Array>& column) const {
    return write_arrow(folder_, GetParam(), name, column);
  }
  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(, ReadArrow, ::testing::Bool(),
                         [](const auto& form) { return form.param ? "stream" : "file"; });

TEST_P(ReadArrow, TakesTheTextsOfEveryBatch) {
  const auto path = write("text", strings({"one", "", "t\u00e9xt"}));
  EXPECT_TRUE(holds_documents(path));
  EXPECT_THAT(read_documents(path), ElementsAre("one", "", "t\u00e9xt"));
  EXPECT_THAT(read_documents(path, 2), ElementsAre("one", ""));
  EXPECT_THAT(read_documents(folder_.file("no_name", read_all(path))).size(), 3U);
}

TEST_P(ReadArrow, TextsMayBeOfAnyTypeOfText) {
  const Values values{"one", "two", "one"};
  for (const auto& column :
       {column_of<arrow::LargeStringBuilder>(values), test::dictionary(values),
        column_of<arrow::StringViewBuilder>(values), column_of<arrow::BinaryBuilder>(values)}) {
    EXPECT_THAT(read_documents(write("text", column)), ElementsAre("one", "two", "one"))
        << column->type()->ToString();
  }
  EXPECT_THAT(read_documents(write("messages", test::messages())), ElementsAre("Hi\nHo", "a"));
  EXPECT_THAT(read_documents(write("meta", test::nested({"one"})), kAll, "meta.body"),
              ElementsAre("one"));
}

TEST_P(ReadArrow, MissingTextsAreNamed) {
  const auto null = write("text", strings({"one", "two", {}}));
  EXPECT_THAT(input_error([&] { (void)read_documents(null); }),
              AllOf(HasSubstr(".arrow row 3 has no text")));
  const auto other = write("body", strings({"one"}));
  EXPECT_THAT(input_error([&] { (void)read_documents(other); }), HasSubstr("columns are: n, body"));
}

TEST_P(ReadArrow, BytesThatAreNotUtf8AreShownWithTheirRow) {
  for (const auto& column : {strings({"a", "b", "caf\xE9"}),
                             column_of<arrow::LargeStringBuilder>({"a", "b", "caf\xE9"})}) {
    const auto path = write("text", column);
    EXPECT_THAT(input_error([&] { (void)read_documents(path); }),
                HasSubstr("byte 0xE9 at offset 3 of the text of row 3 is not UTF-8"));
  }
}

TEST_P(ReadArrow, EveryCutIsNamedOrTheEndOfAStream) {
  const std::string whole = read_all(write("text", strings({"one", "two", "three"})));
  for (std::size_t size = 0; size < whole.size(); size += 5) {
    const auto cut = folder_.file("cut.arrow", whole.substr(0, size));
    try {
      // A stream may end between two messages; then the batches before are there.
      EXPECT_THAT(read_documents(cut).size(), ::testing::AnyOf(0U, 2U, 3U)) << size;
      EXPECT_TRUE(GetParam()) << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), AllOf(HasSubstr("cut.arrow"), HasSubstr("as Arrow"))) << size;
    }
  }
}

TEST(ReadArrowDamage, OffsetsOutsideOfTheDataAreRefused) {
  const TemporaryFolder folder;
  const auto path = write_arrow(folder, true, "text", strings({"aaaaaaaa", "bbbbbbbb"}));
  std::string bytes = read_all(path);
  const std::string offsets("\0\0\0\0\x08\0\0\0\x10\0\0\0", 12);
  const std::size_t at = bytes.find(offsets);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 7] = '\x7F';  // the first text ends at 2 GB
  const auto damaged = folder.file("d.arrow", bytes);
  EXPECT_THAT(input_error([&] { (void)read_documents(damaged); }),
              AllOf(HasSubstr("d.arrow"), HasSubstr("as Arrow")));
}

}  // namespace
}  // namespace sgpt_mi::documents

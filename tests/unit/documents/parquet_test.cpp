#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include <memory>
#include <optional>
#include <vector>

#include "sgpt_mi/documents/documents.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::documents {
namespace {

using test::input_error;
using test::read_all;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Writes a parquet file with a number column "n" and one of strings, two rows to a row group.
template <typename Builder>
std::filesystem::path write_parquet(const TemporaryFolder& folder, const std::string& column,
                                    const std::vector<std::optional<std::string>>& values) {
  Builder strings;
  arrow::Int32Builder numbers;
  for (const auto& value : values) {
    EXPECT_TRUE((value ? strings.Append(*value) : strings.AppendNull()).ok());
    EXPECT_TRUE(numbers.Append(7).ok());
  }
  const auto table = arrow::Table::Make(
      arrow::schema({arrow::field("n", arrow::int32()), arrow::field(column, strings.type())}),
      {*numbers.Finish(), *strings.Finish()});
  const std::filesystem::path path = folder.path() / "d.parquet";
  const auto file = *arrow::io::FileOutputStream::Open(path.string());
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, 2).ok());
  EXPECT_TRUE(file->Close().ok());
  return path;
}

TEST(ReadParquet, TakesTextElseSentenceOverRowGroups) {
  const TemporaryFolder folder;
  const std::vector<std::optional<std::string>> values{"one", "", "t\u00e9xt", "four", "five"};
  const auto path = write_parquet<arrow::StringBuilder>(folder, "text", values);
  EXPECT_THAT(read_documents(path), ElementsAre("one", "", "t\u00e9xt", "four", "five"));
  EXPECT_THAT(read_documents(path, 3), ElementsAre("one", "", "t\u00e9xt"));
  EXPECT_TRUE(read_documents(path, 0).empty());
  const auto large = write_parquet<arrow::LargeStringBuilder>(folder, "sentence", values);
  EXPECT_THAT(read_documents(large, 2), ElementsAre("one", ""));
}

TEST(ReadParquet, NullAndMissingColumnsAreNamed) {
  const TemporaryFolder folder;
  const auto null = write_parquet<arrow::StringBuilder>(folder, "text", {"one", "two", {}});
  EXPECT_THAT(input_error([&] { (void)read_documents(null); }),
              AllOf(HasSubstr("d.parquet row 3"), HasSubstr("no text")));
  const auto other = write_parquet<arrow::StringBuilder>(folder, "body", {"one"});
  EXPECT_THAT(input_error([&] { (void)read_documents(other); }),
              AllOf(HasSubstr("no column \"text\""), HasSubstr("n, body")));
  const auto binary = write_parquet<arrow::BinaryBuilder>(folder, "text", {"one"});
  EXPECT_THAT(input_error([&] { (void)read_documents(binary); }),
              AllOf(HasSubstr("binary"), HasSubstr("strings were expected")));
}

TEST(ReadParquet, DamagedFilesAreNamed) {
  const TemporaryFolder folder;
  const auto path = write_parquet<arrow::StringBuilder>(folder, "text", {"one", "two"});
  const std::string whole = read_all(path);
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

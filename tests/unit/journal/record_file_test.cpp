#include "sgpt_mi/journal/record_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/temporary_folder.h"

namespace sgpt_mi::journal {
namespace {

using nlohmann::json;
using test::read_all;
using test::TemporaryFolder;

namespace fs = std::filesystem;

/// A file of the records 0, 1, ... as an earlier process would leave it.
fs::path file_of(const TemporaryFolder& folder, int records) {
  const fs::path path = folder.path() / "journal";
  RecordFile file(path);
  for (int i = 0; i < records; ++i) file.append({{"number", i}});
  return path;
}

std::vector<int> numbers(const RecordFile& file) {
  std::vector<int> found;
  for (const json& record : file.records()) found.push_back(record.at("number"));
  return found;
}

TEST(RecordFile, IsReadBackByTheNextProcess) {
  const TemporaryFolder folder;
  const fs::path path = file_of(folder, 3);
  RecordFile again(path);
  EXPECT_EQ(numbers(again), (std::vector<int>{0, 1, 2}));
  again.append({{"number", 7}});
  EXPECT_EQ(numbers(RecordFile(path)), (std::vector<int>{0, 1, 2, 7}));
}

TEST(RecordFile, KeepsNumbersToTheLastBit) {
  const TemporaryFolder folder;
  const double third = 1.0 / 3.0;
  const double least = std::numeric_limits<double>::denorm_min();
  const auto most = std::numeric_limits<std::int64_t>::max();
  RecordFile(folder.path() / "journal").append({third, least, most});
  const RecordFile again(folder.path() / "journal");
  EXPECT_EQ(again.records().front(), json({third, least, most}));
}

TEST(RecordFile, DropsACutLineWhereverItIsCut) {
  const TemporaryFolder folder;
  const std::string whole = read_all(file_of(folder, 2));
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const fs::path path = folder.file("cut", whole.substr(0, length));
    RecordFile cut(path);
    EXPECT_EQ(cut.records().size(), length >= first ? 1U : 0U) << length;
    cut.append({{"number", 9}});
    EXPECT_EQ(numbers(RecordFile(path)).back(), 9);
  }
}

TEST(RecordFile, BelievesNothingFromTheFirstDamagedLineOn) {
  const TemporaryFolder folder;
  const std::string whole = read_all(file_of(folder, 3));
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t i = first; i + 1 < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    const std::size_t kept = RecordFile(folder.file("damaged", damaged)).records().size();
    EXPECT_LE(kept, i < whole.find('\n', first) + 1 ? 1U : 2U) << i;
    EXPECT_GE(kept, 1U) << i;
  }
}

TEST(RecordFile, FullDiskIsExplained) {
  const fs::path full = "/dev/full";
  if (!fs::exists(full)) GTEST_SKIP() << "this system has no /dev/full";
  const TemporaryFolder folder;
  fs::create_symlink(full, folder.path() / "journal");
  EXPECT_THAT(test::input_error([&] { RecordFile(folder.path() / "journal").append({1}); }),
              testing::HasSubstr("journal"));
}

}  // namespace
}  // namespace sgpt_mi::journal

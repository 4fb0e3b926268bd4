#include "sgpt_mi/io/scratch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/mapped_file.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

using test::error_of;
using test::TemporaryFolder;

using testing::HasSubstr;

std::vector<std::byte> pattern(std::size_t count, int first) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>((static_cast<std::size_t>(first) + 7 * i) % 251);
  }
  return bytes;
}

TEST(ScratchFile, GivesBackWhatWasWrittenAndLeavesNoName) {
  const TemporaryFolder folder;
  ScratchFile file(folder.path());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const auto first = pattern(10'000, 1);
  const auto second = pattern(5'000, 2);
  file.write(20'000, second);  // with a hole before it
  file.write(0, first);
  file.will_need(20'000, second.size());
  std::vector<std::byte> read(second.size());
  file.read(20'000, read);
  EXPECT_EQ(read, second);
  file.write(100, second);
  read.resize(first.size());
  file.read(0, read);
  EXPECT_EQ(read[99], first[99]);
  EXPECT_EQ(read[100], second[0]);
  EXPECT_EQ(read[5'100], first[5'100]);
}

TEST(ScratchFile, NamesTheFolderThatCannotTakeIt) {
  const TemporaryFolder folder;
  const auto missing = folder.path() / "missing";
  EXPECT_THAT(error_of(ErrorKind::kInput, [&] { ScratchFile file(missing); }),
              HasSubstr(missing.string()));
}

TEST(ScratchFile, SaysThatThereIsNoMoreRoom) {
  const TemporaryFolder folder;
  ScratchFile file(folder.path());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text = error_of(ErrorKind::kInput, [&] { file.write(0, pattern(10'000, 3)); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(text, HasSubstr(folder.path().string()));
  EXPECT_THAT(text, HasSubstr("size limit"));
}

TEST(ScratchFile, ReadsNothingThatWasNotWritten) {
  const TemporaryFolder folder;
  ScratchFile file(folder.path());
  file.write(0, pattern(10, 4));
  std::vector<std::byte> read(11);
  EXPECT_THROW(file.read(0, read), Error);
}

TEST(MappedFile, KeepsItsBytesWhateverIsAdvised) {
  const TemporaryFolder folder;
  std::string text(20'000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  const MappedFile file(folder.file("data", text));
  const auto all = file.bytes();
  const auto same = [&] {
    return std::string(reinterpret_cast<const char*>(all.data()), all.size()) == text;
  };
  for (const auto& part : {all, all.subspan(5'000, 100), all.subspan(4'097, 9'000), all.first(0)}) {
    file.will_need(part);
    EXPECT_TRUE(same());
    file.done_with(part);
    EXPECT_TRUE(same());
  }
}

}  // namespace
}  // namespace sgpt_mi::io

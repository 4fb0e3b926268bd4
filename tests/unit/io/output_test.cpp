#include "sgpt_mi/io/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <iterator>

#include "sgpt_mi/io/posix_file.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

using test::bytes_of;
using test::error_of;
using test::input_error;
using test::read_all;
using test::TemporaryFolder;

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Limits the size of files that this process may write, until the end of the scope.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limited = before_;
    limited.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limited);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST(WriteFileAtomic, ReplacesAFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("r.json", "old");
  write_file_atomic(path, "new text");
  EXPECT_EQ(read_all(path), "new text");
  write_file_atomic(path, "");
  EXPECT_EQ(read_all(path), "");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(WriteFileAtomic, KeepsTheOldFileWhenTheNewOneDoesNotFit) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("r.json", "old");
  {
    const FileSizeLimit limit(4096);
    EXPECT_THAT(input_error([&] { write_file_atomic(path, std::string(10000, 'x')); }),
                AllOf(HasSubstr(path.string()), HasSubstr("size limit")));
  }
  EXPECT_EQ(read_all(path), "old");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(WriteFileAtomic, UnwritablePlaceIsNamed) {
  const TemporaryFolder folder;
  const fs::path below_a_file = folder.file("plain", "") / "r.json";
  EXPECT_THAT(input_error([&] { write_file_atomic(below_a_file, "x"); }),
              AllOf(HasSubstr("plain"), HasSubstr("Not a directory")));
  EXPECT_THAT(input_error([&] { write_file_atomic(folder.path() / "none" / "r.json", "x"); }),
              AllOf(HasSubstr("none"), HasSubstr("No such file")));
  // The name of an existing folder: the temporary file is written, but cannot take its place.
  EXPECT_THAT(input_error([&] { write_file_atomic(folder.path(), "x"); }),
              HasSubstr("cannot write"));
}

TEST(WriteAt, FullDiskIsExplained) {
  const fs::path full = "/dev/full";
  if (!fs::exists(full)) GTEST_SKIP() << "this system has no /dev/full";
  const FileDescriptor file = create_output(full);
  EXPECT_THAT(input_error([&] { write_at(file, 0, bytes_of("x"), full); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("disk or the quota is full")));
}

// --- StagedFolder -------------------------------------------------------------------------------

constexpr const char* kMarker = "done.json";

/// Writes a complete folder with one nested file of this text.
void write_folder(const fs::path& target, const std::string& text) {
  StagedFolder folder(target, kMarker);
  fs::create_directory(folder.staging() / "sub");
  write_file_atomic(folder.staging() / "sub" / "a.txt", text);
  write_file_atomic(folder.staging() / kMarker, "{}");
  folder.commit();
  EXPECT_FALSE(fs::exists(folder.staging()));
}

TEST(StagedFolder, AppearsWholeAndReplacesItsPredecessor) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "new" / "out";
  write_folder(target, "one");
  EXPECT_EQ(read_all(target / "sub" / "a.txt"), "one");
  write_folder(target / "", "two");  // a trailing slash names the same folder
  EXPECT_EQ(read_all(target / "sub" / "a.txt"), "two");
  EXPECT_EQ(entries_in(target.parent_path()), 1U);
}

TEST(StagedFolder, RefusesTheWorkingFolderAndALinkToNothing) {
  const TemporaryFolder folder;
  fs::create_symlink(folder.path() / "nowhere", folder.path() / "link");
  EXPECT_THAT(input_error([&] { StagedFolder(folder.path() / "link", kMarker); }),
              HasSubstr("a link to nothing"));
  const fs::path before = fs::current_path();
  const fs::path here = folder.path() / "here";
  fs::create_directory(here);
  fs::current_path(here);
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { StagedFolder(".", kMarker); }),
              HasSubstr("was started in"));
  fs::current_path(before);
}

TEST(WriteFileAtomic, KeepsLinksAndWritesToDevices) {
  const TemporaryFolder folder;
  const fs::path file = folder.file("real.json", "old");
  const fs::path link = folder.path() / "link.json";
  fs::create_symlink("real.json", link);
  write_file_atomic(link, "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_all(file), "new");
  const fs::path dangling = folder.path() / "dangling.json";
  fs::create_symlink("made.json", dangling);
  write_file_atomic(dangling, "made");
  EXPECT_EQ(read_all(folder.path() / "made.json"), "made");
  write_file_atomic("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(StagedFolder, WithoutCommitTheTargetStaysAsItWas) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "out";
  write_folder(target, "one");
  {
    const StagedFolder unfinished(target, kMarker);
    write_file_atomic(unfinished.staging() / "a.txt", "half");
  }
  EXPECT_EQ(read_all(target / "sub" / "a.txt"), "one");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(StagedFolder, RefusesAFolderThatIsNotItsOwn) {
  const TemporaryFolder folder;
  const fs::path precious = folder.file("out/thesis.tex", "x").parent_path();
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { StagedFolder staged(precious, kMarker); }),
              AllOf(HasSubstr(precious.string()), HasSubstr("has no done.json")));
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(StagedFolder, TakesAnEmptyFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "out");
  write_folder(folder.path() / "out", "one");
  EXPECT_EQ(read_all(folder.path() / "out" / "sub" / "a.txt"), "one");
}

TEST(StagedFolder, UnwritablePlaceIsNamed) {
  const TemporaryFolder folder;
  const fs::path plain = folder.file("plain", "");
  EXPECT_THAT(input_error([&] { StagedFolder staged(plain, kMarker); }), HasSubstr("is a file"));
  EXPECT_THAT(input_error([&] { StagedFolder staged(plain / "out", kMarker); }),
              AllOf(HasSubstr("plain"), HasSubstr("Not a directory")));
}

TEST(StagedFile, AppearsOnCommitOnly) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("m.gguf", "old");
  {
    StagedFile file(path);
    file.write(2, bytes_of("cd"));
    file.write(0, bytes_of("ab"));
    EXPECT_EQ(read_all(path), "old");
    EXPECT_EQ(read_all(file.staging()), "abcd");
    file.commit();
  }
  EXPECT_EQ(read_all(path), "abcd");
  StagedFile(path).write(0, bytes_of("half"));
  EXPECT_EQ(read_all(path), "abcd");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(StagedFile, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("m.gguf", "old");
  const FileSizeLimit limit(100);
  const auto write = [&] { StagedFile(path).write(90, bytes_of("more than ten bytes")); };
  EXPECT_THAT(input_error(write), HasSubstr("m.gguf"));
  EXPECT_EQ(read_all(path), "old");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

}  // namespace
}  // namespace sgpt_mi::io

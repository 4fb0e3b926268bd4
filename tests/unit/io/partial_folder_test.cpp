#include "sgpt_mi/io/partial_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "sgpt_mi/io/file_lock.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

using test::input_error;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

/// Runs an action in a process of its own; whether it returned true.
template <typename Action>
bool in_another_process(const Action& action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(PartialFolder, LiesBesideItsTargetAndGoesWithItsLastUser) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "new" / "out";
  std::optional<PartialFolder> first(target);
  EXPECT_EQ(first->path(), fs::path(target.string() + ".partial"));
  EXPECT_EQ(first->path(), PartialFolder::path_for(target / ""));
  {
    const PartialFolder second(target);  // of the same process: shared
    EXPECT_EQ(second.path(), first->path());
  }
  EXPECT_TRUE(fs::exists(first->path()));
  first.reset();
  EXPECT_TRUE(fs::is_empty(target.parent_path()));
}

TEST(PartialFolder, KeepsWhatIsLeftInIt) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "out";
  fs::path left;
  {
    const PartialFolder partial(target);
    left = folder.file("out.partial/kept", "text");
  }
  EXPECT_TRUE(fs::exists(left));
  EXPECT_FALSE(fs::exists(left.parent_path() / PartialFolder::kLockFile));
}

TEST(PartialFolder, IsOneProcessesAtATime) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "out";
  std::optional<PartialFolder> ours(target);
  // A child of fork() shares our lock and our objects: the refusal needs a stranger's lock.
  EXPECT_TRUE(in_another_process(
      [&] { return !try_lock_file(ours->path() / PartialFolder::kLockFile).has_value(); }));
  ours.reset();
  EXPECT_TRUE(in_another_process([&] {
    const PartialFolder theirs(target);
    return fs::exists(theirs.path());
  }));
}

TEST(PartialFolder, NamesWhoWorksInIt) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "out";
  const fs::path lock = folder.file("out.partial/lock", "process 7 on elsewhere");
  const auto held = try_lock_file(lock);
  ASSERT_TRUE(held.has_value());
  EXPECT_THAT(input_error([&] { const PartialFolder partial(target); }),
              AllOf(HasSubstr(target.string()), HasSubstr("process 7 on elsewhere")));
}

TEST(PartialFolder, SaysWhereItCannotBeMade) {
  const TemporaryFolder folder;
  const fs::path below_a_file = folder.file("plain", "") / "out";
  EXPECT_THAT(input_error([&] { const PartialFolder partial(below_a_file); }),
              AllOf(HasSubstr("plain"), HasSubstr("Not a directory")));
}

TEST(FileLock, EndsWithItsProcess) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "lock";
  EXPECT_TRUE(in_another_process([&] { return try_lock_file(path).has_value(); }));
  EXPECT_TRUE(try_lock_file(path).has_value());
}

TEST(FileLock, OnARemovedFileIsNone) {
  const TemporaryFolder folder;
  EXPECT_FALSE(try_lock_file(folder.path() / "none" / "lock").has_value());
}

}  // namespace
}  // namespace sgpt_mi::io

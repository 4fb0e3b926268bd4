#include "sgpt_mi/io/lfs_pointer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/mapped_file.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

using test::input_error;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The pointer of docs/spec.md of git-lfs.
constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";

TEST(LfsPointer, IsKnownByItsFirstLine) {
  EXPECT_TRUE(is_lfs_pointer(kPointer));
  EXPECT_TRUE(is_lfs_pointer("version https://git-lfs.github.com/spec/v1\r\noid"));
  EXPECT_TRUE(is_lfs_pointer("version https://hawser.github.com/spec/v1\noid"));
  EXPECT_TRUE(is_lfs_pointer("version http://git-media.io/v/2\noid"));
  EXPECT_FALSE(is_lfs_pointer(""));
  EXPECT_FALSE(is_lfs_pointer("version https://git"));
  EXPECT_FALSE(is_lfs_pointer(std::string(" ") + kPointer));
}

TEST(LfsPointer, NoReaderTakesOneForItsFile) {
  const TemporaryFolder folder;
  const auto path = folder.file("config.json", kPointer);
  const auto is_named =
      AllOf(HasSubstr("config.json is a Git LFS pointer"), HasSubstr("git lfs pull"));
  EXPECT_THAT(input_error([&] { const MappedFile file(path); }), is_named);
  EXPECT_THAT(input_error([&] { (void)read_json_object(path); }), is_named);
}

TEST(LfsPointer, ATextThatQuotesOneIsNone) {
  const TemporaryFolder folder;
  const auto path = folder.file("t.txt", kPointer + std::string(kLfsPointerBytes, 'x'));
  EXPECT_GT(MappedFile(path).bytes().size(), kLfsPointerBytes);
}

}  // namespace
}  // namespace sgpt_mi::io

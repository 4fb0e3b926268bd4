#include "sgpt_mi/io/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "sgpt_mi/io/posix_file.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

/// Reads a file's last byte after the file was shortened below it; the process has a handler.
[[noreturn]] void read_lost_bytes(const std::filesystem::path& path) {
  install_lost_bytes_handler();
  const MappedFile other(path);
  const MappedFile file(path);
  std::filesystem::resize_file(path, 0);
  const volatile std::byte last = file.bytes().back();
  std::exit(last == std::byte{'x'} ? 0 : 1);
}

TEST(MappedFileDeathTest, BytesThatAreGoneEndTheProcessWithASentence) {
  const test::TemporaryFolder folder;
  const auto path = folder.file("weights", std::string(20'000, 'x'));
  EXPECT_EXIT(read_lost_bytes(path), testing::ExitedWithCode(3),
              "sgpt-mi: error: io: .*weights cannot be read any more");
}

TEST(MappedFileDeathTest, AreNotTakenForAFailureOfTheFileTheyAreWrittenTo) {
  const test::TemporaryFolder folder;
  const auto path = folder.file("weights", std::string(20'000, 'x'));
  EXPECT_EXIT(
      {
        install_lost_bytes_handler();
        const MappedFile file(path);
        std::filesystem::resize_file(path, 0);
        const FileDescriptor copy = create_output(folder.path() / "copy");
        write_at(copy, 0, file.bytes(), folder.path() / "copy");
      },
      testing::ExitedWithCode(3), "sgpt-mi: error: io: .*weights cannot be read any more");
}

TEST(MappedFileDeathTest, OtherBusErrorsStayWhatTheyAre) {
  EXPECT_EXIT(
      {
        install_lost_bytes_handler();
        ::raise(SIGBUS);
        ::raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace sgpt_mi::io

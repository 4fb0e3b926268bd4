#include "sgpt_mi/core/error.h"

#include <gtest/gtest.h>

namespace sgpt_mi {
namespace {

TEST(Errors, KindIsTheExitCode) {
  EXPECT_EQ(Error(ErrorKind::kUsage, "").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::kInput, "").exit_code(), 3);
  EXPECT_EQ(Error(ErrorKind::kNumeric, "").exit_code(), 4);
  EXPECT_EQ(Error(ErrorKind::kDevice, "").exit_code(), 5);
  EXPECT_EQ(Error(ErrorKind::kInternal, "").exit_code(), 70);
  EXPECT_EQ(Error(ErrorKind::kInterrupted, "").exit_code(), 130);
}

TEST(Errors, FailFormatsItsMessage) {
  try {
    fail(ErrorKind::kInput, "io: found {}; expected {}", 3, "four");
    FAIL() << "fail() returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_STREQ(error.what(), "io: found 3; expected four");
  }
}

TEST(Errors, EnsureReportsABrokenInvariant) {
  EXPECT_NO_THROW(ensure(true, "never seen"));
  try {
    ensure(false, "core: broken");
    FAIL() << "ensure() returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_STREQ(error.what(), "core: broken");
  }
}

}  // namespace
}  // namespace sgpt_mi

#include "sgpt_mi/formats/saved_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::formats {
namespace {

TEST(RequireSpace, RefusesWhatTheDiskDoesNotHold) {
  const test::TemporaryFolder folder;
  const std::filesystem::path target = folder.path() / "not" / "yet" / "there";
  EXPECT_NO_THROW(require_space(target, 1));
  EXPECT_THAT(test::input_error([&] { require_space(target, std::int64_t{1} << 62); }),
              testing::AllOf(testing::HasSubstr("free, "), testing::HasSubstr("needs 4611686"),
                             testing::HasSubstr(target.string())));
}

}  // namespace
}  // namespace sgpt_mi::formats

#include "sgpt_mi/io/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::io {
namespace {

TEST(JsonFile, EveryFailureIsAnInputErrorThatNamesTheFile) {
  const test::TemporaryFolder folder;
  // The second is JSON, but its number is beyond a double, for which the library has another type.
  for (const char* text : {"{", R"({"a": 1e999})", "[1]", "", "\xff"}) {
    const auto path = folder.file("config.json", text);
    EXPECT_THAT(test::input_error([&] { (void)read_json_object(path); }),
                testing::HasSubstr(path.string()))
        << text;
  }
}

}  // namespace
}  // namespace sgpt_mi::io

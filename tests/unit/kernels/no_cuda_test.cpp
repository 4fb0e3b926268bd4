#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/kth_smallest.h"

namespace sgpt_mi::kernels {
namespace {

TEST(NoCuda, SaysWhatToDo) {
  const float values[] = {1.0F};
  Backend backend;
  backend.cuda = true;
  try {
    static_cast<void>(kth_smallest({{values, 1, backend}}, 0));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDevice);
    EXPECT_THAT(error.what(), testing::HasSubstr("built without CUDA"));
    EXPECT_THAT(error.what(), testing::HasSubstr("--device cpu"));
  }
}

}  // namespace
}  // namespace sgpt_mi::kernels

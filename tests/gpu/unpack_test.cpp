#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "sgpt_mi/unpack/unpack_on.h"
#include "support/gpu.h"
#include "support/packed_examples.h"

namespace sgpt_mi::unpack {
namespace {

TEST(UnpackOnGpu, GivesTheBitsOfUnpackMatrix) {
  SGPT_MI_GPU_OR_SKIP();
  std::mt19937 engine(1);
  for (const test::PackedForm& form : test::packed_forms()) {
    const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
    const packing::PackedParts view = test::found("m", parts);
    const torch::Tensor there = unpack_on(torch::kCUDA, view);
    EXPECT_TRUE(there.is_cuda());
    const torch::Tensor here = there.cpu();
    const std::vector<std::byte> expected = packing::unpack_matrix(view);
    ASSERT_EQ(here.nbytes(), expected.size());
    EXPECT_EQ(std::memcmp(here.const_data_ptr(), expected.data(), expected.size()), 0)
        << form.rows << " rows, type " << static_cast<int>(form.dtype);
  }
}

}  // namespace
}  // namespace sgpt_mi::unpack

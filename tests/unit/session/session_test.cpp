#include "sgpt_mi/session/session.h"

#include <gtest/gtest.h>

namespace sgpt_mi::session {
namespace {

torch::Device gpu(int index) { return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

TEST(PlaceRows, OnACpuAreNotCut) {
  const obs::RowPlacement rows = place_rows("cpu", torch::kCPU, 4);
  EXPECT_TRUE(rows.devices.empty());
  EXPECT_EQ(rows.product_rows, 0);
}

TEST(PlaceRows, TakeAllVisibleGpusUnlessOneIsNamed) {
  using Devices = std::vector<torch::Device>;
  EXPECT_EQ(place_rows("cuda", gpu(0), 3).devices, (Devices{gpu(0), gpu(1), gpu(2)}));
  EXPECT_EQ(place_rows("auto", gpu(0), 2).devices, (Devices{gpu(0), gpu(1)}));
  EXPECT_EQ(place_rows("cuda:1", gpu(1), 3).devices, (Devices{gpu(1)}));
}

TEST(PlaceRows, CutTheSameProductsOnAnyNumberOfGpus) {
  const std::int64_t one = place_rows("cuda:0", gpu(0), 4).product_rows;
  EXPECT_GT(one, 0);
  EXPECT_EQ(place_rows("cuda", gpu(0), 4).product_rows, one);
}

}  // namespace
}  // namespace sgpt_mi::session

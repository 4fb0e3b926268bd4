#include "sgpt_mi/core/parallel.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace sgpt_mi {
namespace {

TEST(SerialFor, CoversTheRangeOnce) {
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  const auto record = [&](std::int64_t begin, std::int64_t end) {
    ranges.emplace_back(begin, end);
  };
  serial_for()(7, 2, record);
  EXPECT_EQ(ranges, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 7}}));
  serial_for()(0, 1, record);
  EXPECT_EQ(ranges.size(), 1U);
}

}  // namespace
}  // namespace sgpt_mi

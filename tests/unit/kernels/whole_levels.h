#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::test {

/// Takes one part of whole levels away after the other and expects that `run` refuses the rest,
/// naming the op.
template <typename Run>
void expect_whole_levels_needed(const kernels::LevelView& whole, const std::string& op,
                                const Run& run) {
  std::vector<kernels::LevelView> parts(7, whole);
  parts[0].row_step = nullptr;
  parts[1].row_cost = nullptr;
  parts[2].column_cost = nullptr;
  parts[3].row_table = nullptr;
  parts[4].column_table = nullptr;
  parts[5].price = nullptr;
  parts[6].tables = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_THAT(error_of(ErrorKind::kInternal, [&] { run(parts[i]); }),
                ::testing::HasSubstr(op + ": a part of the levels is missing"))
        << "part " << i;
  }
  EXPECT_NO_THROW(run(whole));
}

}  // namespace sgpt_mi::test

#include "sgpt_mi/kernels/decode_levels.h"

#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "support/level_streams.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

TEST(DecodeLevels, EveryShapeFollowsTheDefinition) {
  Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  unsigned seed = 0;
  for (const test::LevelShape& shape : test::level_shapes()) {
    SCOPED_TRACE(seed);
    const test::LevelProblem problem(shape, ++seed);
    const test::Matrix<std::int16_t> expected = problem.expected();
    for (const Backend& backend : {Backend{}, threaded}) {
      test::TwinDevice device = test::host_device(backend);
      test::expect_same(problem.run(device), expected, test::LevelProblem::kGuard, "levels");
    }
  }
}

TEST(DecodeLevels, ContradictionsAreTheCallersBug) {
  const std::uint8_t label[] = {0, 0};
  const std::uint32_t slot[kSlots] = {};
  const std::uint8_t bytes[4 * kLevelLanes] = {};
  const std::int64_t begins[] = {0, 4, 8, 12, 16, 20, 24, 28, 32};
  std::int16_t levels[2];
  std::uint8_t ended[1];
  const LevelStreams good{1, 2, 1,    2,     label,  label,  nullptr,
                          0, 1, slot, bytes, begins, levels, ended};
  EXPECT_NO_THROW(decode_levels(good, {}));
  const auto expect_refused = [&](auto&& change) {
    LevelStreams bad = good;
    change(bad);
    EXPECT_THROW(decode_levels(bad, {}), Error);
  };
  expect_refused([](LevelStreams& s) { s.rows = 0; });
  expect_refused([](LevelStreams& s) { s.chunk_rows = 0; });
  expect_refused([](LevelStreams& s) { s.chunk_places = 1, s.chunk_rows = 2; });
  expect_refused([](LevelStreams& s) { s.tables = kMostLevelTables + 1; });
  expect_refused([](LevelStreams& s) { s.slot = nullptr; });
  expect_refused([](LevelStreams& s) { s.levels = nullptr; });
}

}  // namespace
}  // namespace sgpt_mi::kernels

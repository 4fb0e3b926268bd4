#include "sgpt_mi/kernels/descend_block.h"

#include "cuda_twins.h"
#include "descent_tile.h"
#include "sgpt_mi/core/error.h"
#include "shapes.h"

namespace sgpt_mi::kernels {
namespace {

/// Widest group of an N:M pattern: pairs of its columns are numbered in 32 bits.
constexpr std::int64_t kMostPatternColumns = 32768;

void check_support(const DescentBlock& block) {
  const NmPattern pattern = block.pattern;
  if (block.support == Support::kPattern) {
    ensure(
        pattern.m > 0 && pattern.m <= kMostPatternColumns && block.weight.columns % pattern.m == 0,
        "descend_block: m of the N:M pattern does not divide the width");
    ensure(pattern.n >= 0 && pattern.n <= pattern.m,
           "descend_block: n of the N:M pattern exceeds m");
  } else {
    ensure(pattern.m == 0, "descend_block: an N:M pattern is given, the support is another");
  }
}

void check_grid(const DescentBlock& block) {
  const GridView& grid = block.grid;
  if (!grid.rounds()) return;
  const std::int64_t rows = block.weight.rows;
  ensure(block.support == Support::kKept, "descend_block: a grid needs a given support");
  if (!grid.has_codes()) return check_levels(grid.levels, "descend_block");
  ensure(grid.max_code_of_group != nullptr, "descend_block: max_code_of_group is missing");
  ensure(has_grid_shape(grid.scale, rows, grid.scale.columns),
         "descend_block: scale is not (rows, groups)");
  ensure(has_grid_shape(grid.zero, rows, grid.scale.columns),
         "descend_block: zero is not (rows, groups)");
  ensure(grid.offset.data == nullptr || has_grid_shape(grid.offset, rows, grid.scale.columns),
         "descend_block: offset is not (rows, groups)");
  ensure(has_shape(block.codes, rows, block.weight.columns),
         "descend_block: codes is not (rows, width)");
}

void check(const DescentBlock& block) {
  const std::int64_t rows = block.weight.rows;
  const std::int64_t width = block.weight.columns;
  ensure(has_shape(block.weight, rows, width), "descend_block: weight is not (rows, width)");
  ensure(has_shape(block.gradient, rows, width), "descend_block: gradient is not (rows, width)");
  ensure(has_shape(block.hessian, width, width), "descend_block: hessian is not (width, width)");
  ensure(has_shape(block.pruned, rows, width), "descend_block: pruned is not (rows, width)");
  check_support(block);
  check_grid(block);
}

}  // namespace

void descend_block(const DescentBlock& block, const Backend& backend) {
  if (block.weight.rows == 0 || block.weight.columns == 0) return;
  check(block);
  if (backend.cuda) return cuda::descend_block(block, backend.cuda_stream);
  const std::int64_t tiles = (block.weight.rows + kTileRows - 1) / kTileRows;
  backend.parallel_for(tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    DescentTile tile(block);
    for (std::int64_t t = begin; t < end; ++t) tile.run(t * kTileRows);
  });
}

}  // namespace sgpt_mi::kernels

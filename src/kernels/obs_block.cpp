#include "sgpt_mi/kernels/obs_block.h"

#include "cuda_twins.h"
#include "row_tile.h"
#include "sgpt_mi/core/error.h"
#include "shapes.h"

namespace sgpt_mi::kernels {
namespace {

void check(const ObsBlock& block) {
  const std::int64_t rows = block.weight.rows;
  const std::int64_t width = block.weight.columns;
  ensure(has_shape(block.weight, rows, width), "obs_block: weight is not (rows, width)");
  ensure(has_shape(block.factor, width, width), "obs_block: factor is not (width, width)");
  ensure(has_shape(block.pruned, rows, width), "obs_block: pruned is not (rows, width)");
  ensure(has_shape(block.error, rows, width), "obs_block: error is not (rows, width)");
  ensure(block.row_loss != nullptr, "obs_block: row_loss is missing");
  const NmPattern pattern = block.pattern;
  ensure(pattern.m == 0 || (pattern.m > 0 && width % pattern.m == 0),
         "obs_block: m of the N:M pattern does not divide the width");
  ensure(pattern.n >= 0 && pattern.n <= pattern.m, "obs_block: n of the N:M pattern exceeds m");
  const GridView& grid = block.grid;
  if (!grid.rounds()) return;
  if (!grid.has_codes()) return check_levels(grid.levels, "obs_block");
  ensure(grid.max_code_of_group != nullptr, "obs_block: max_code_of_group is missing");
  ensure(has_grid_shape(grid.scale, rows, grid.scale.columns),
         "obs_block: scale is not (rows, groups)");
  ensure(has_grid_shape(grid.zero, rows, grid.scale.columns),
         "obs_block: zero is not (rows, groups)");
  ensure(grid.offset.data == nullptr || has_grid_shape(grid.offset, rows, grid.scale.columns),
         "obs_block: offset is not (rows, groups)");
  ensure(has_shape(block.codes, rows, width), "obs_block: codes is not (rows, width)");
}

}  // namespace

void obs_block(const ObsBlock& block, const Backend& backend) {
  if (block.weight.rows == 0 || block.weight.columns == 0) return;
  check(block);
  if (backend.cuda) return cuda::obs_block(block, backend.cuda_stream);
  const std::int64_t tiles = (block.weight.rows + kTileRows - 1) / kTileRows;
  backend.parallel_for(tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    RowTile tile(block);
    for (std::int64_t t = begin; t < end; ++t) tile.run(t * kTileRows);
  });
}

}  // namespace sgpt_mi::kernels

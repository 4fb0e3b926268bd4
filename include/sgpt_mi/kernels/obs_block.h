#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// Levels of a grid that is not uniform: 2^bits of them, ascending, for codes of 4 bits.
struct LevelTable {
  float level[16] = {};
  bool given = false;  ///< false: the level of a code is the code itself
};

/// Grids of all multiples of a step, row_step[r] * column_step[j], for levels that are
/// entropy-coded afterwards. A value w becomes step * k with the level k of least
///
///     row_cost[r] * column_cost[j] * (w / step - k)^2 + price[table][|k|]
///
/// among the nearest level, the next one toward 0, and 0; table = row_table[r] + column_table[j],
/// cut to 0 .. tables - 1.
struct LevelView {
  const float* row_step = nullptr;             ///< (rows), > 0
  const float* column_step = nullptr;          ///< (width), > 0; nullptr: no such grid
  const float* row_cost = nullptr;             ///< (rows)
  const float* column_cost = nullptr;          ///< (width)
  const std::int32_t* row_table = nullptr;     ///< (rows)
  const std::int32_t* column_table = nullptr;  ///< (width)
  const float* price = nullptr;                ///< (tables, 32): of magnitudes 0 to 31
  std::int32_t tables = 0;
};

/// Grids by which the columns of a block are rounded: with g = group_of_column[j], the value of
/// code c in row r and column j is
///
///     scale(r, g) * (c - zero(r, g))                 integer grids
///     scale(r, g) * c + offset(r, g)                 with offsets; zero is 0
///     scale(r, g) * table.level[c]                   with a table of levels; zero is 0
///
/// and codes run from 0 to max_code_of_group[g]. Groups may differ in width, and a group's columns
/// need not be neighbours. A scale of 0 has one value only; then the code means nothing.
struct GridView {
  MatrixView<const float> scale;                  ///< (rows, groups); stride 0: shared rows
  MatrixView<const float> zero;                   ///< (rows, groups), integral, in [0, max code]
  const std::int32_t* group_of_column = nullptr;  ///< (width); nullptr: none of these grids
  const float* max_code_of_group = nullptr;       ///< (groups): 2^bits - 1, at most 255
  MatrixView<const float> offset = {};            ///< (rows, groups), or without data: all 0
  LevelTable table = {};
  LevelView levels = {};  ///< with column_step: takes the place of all the others

  /// Whether values are rounded at all.
  [[nodiscard]] constexpr bool rounds() const {
    return group_of_column != nullptr || levels.column_step != nullptr;
  }
  /// Whether what they are rounded to has codes of up to 255.
  [[nodiscard]] constexpr bool has_codes() const {
    return group_of_column != nullptr && levels.column_step == nullptr;
  }
};

/// N of every M neighbouring columns are pruned, per row; m = 0: the mask is given.
struct NmPattern {
  std::int64_t n = 0;
  std::int64_t m = 0;
};

/// One block of columns of one weight matrix: what the column loop reads and writes.
struct ObsBlock {
  MatrixView<float> weight;        ///< (rows, width) in: current weights; out: the values kept
  MatrixView<const float> factor;  ///< (width, width) diagonal block of U; the upper part is read
  MatrixView<bool> pruned;         ///< (rows, width) in when pattern.m = 0, else out; true: zero
  NmPattern pattern;               ///< m divides width
  GridView grid;                   ///< of the block's columns
  MatrixView<std::uint8_t> codes;  ///< (rows, width) out; not touched without grid.has_codes()
  MatrixView<float> error;         ///< (rows, width) out: (w - q) / U_jj, for the tail update
  double* row_loss = nullptr;      ///< (rows) added to: sum over columns of (w - q)^2 / (2 U_jj^2)
};

/// The column loop of SparseGPT and GPTQ over one block: for j = 0 .. width - 1, in every row,
///
///     q       = 0 where pruned, else w_j; then scale * (code - zero) with
///               code = clamp(round(q / scale) + zero, 0, max code), or as LevelView has it
///     e_j     = (w_j - q) / U_jj
///     w_k    -= e_j * U_jk            for the block's columns k > j
///
/// (Frantar & Alistarh 2023, arXiv 2301.00774, Algorithm 1; 2210.17323, Algorithm 1). With an N:M
/// pattern the mask of columns j .. j + M - 1 is chosen when j is a multiple of M, from the weights
/// as updated so far: the N lowest w_k^2 / U_kk^2 of the row, the leftmost of equal ones.
///
/// Arithmetic is float32 in the order written, true divisions, round half to even, products and
/// differences rounded one by one. Therefore the two twins and every number of threads give the
/// same bits. Rows never interact.
///
/// Cost: rows * width^2 / 2 multiply-subtracts.
///
/// \throws Error(kInternal) shapes that disagree.
void obs_block(const ObsBlock& block, const Backend& backend);

}  // namespace sgpt_mi::kernels

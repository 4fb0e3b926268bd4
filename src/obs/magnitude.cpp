#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include "input.h"
#include "measures.h"
#include "selection.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {
namespace {

/// The n smallest |w| of every m neighbouring columns of a row, the leftmost of equal ones.
torch::Tensor prune_pattern(const torch::Tensor& weight, std::int64_t n, std::int64_t m) {
  const torch::Tensor score = weight.abs().reshape({weight.size(0), -1, m});
  const torch::Tensor order = score.argsort(/*stable=*/true, /*dim=*/2, /*descending=*/false);
  const torch::Tensor lowest = order.narrow(2, 0, n);
  return at::zeros(score.sizes(), score.options().dtype(torch::kBool))
      .scatter_(2, lowest, true)
      .reshape(weight.sizes());
}

torch::Tensor choose_mask(const torch::Tensor& weight, const CompressOptions& options) {
  if (options.prune_n > 0) return prune_pattern(weight, options.prune_n, options.prune_m);
  if (options.sparsity > 0.0) {
    const torch::Tensor score = weight.abs();
    return score.le(falling_score({score}, options.sparsity));
  }
  return at::zeros(weight.sizes(), weight.options().dtype(torch::kBool));
}

}  // namespace

CompressResult compress_magnitude(const torch::Tensor& weight, const torch::Tensor& hessian,
                                  const CompressOptions& options, const std::string& name) {
  check_hessian(hessian, name);
  check_input(weight, hessian, options, name);
  const torch::Tensor before = weight.to(torch::kFloat32).contiguous();
  CompressResult result;
  CompressedMatrix& matrix = result.matrix;
  matrix.pruned = choose_mask(before, options);
  matrix.weight = before.masked_fill(matrix.pruned, 0.0);
  if (options.quantizes()) {
    matrix.scale_exponent = scale_exponent(before, options);
    const quant::Grid grid =
        options.block_type != nullptr
            ? find_block_grid(matrix.weight, hessian.diagonal(), *options.block_type)
            : find_static_grid(before, options, matrix.scale_exponent);
    matrix.codes = quant::quantize(matrix.weight, grid);
    matrix.weight = quant::dequantize(matrix.codes, grid);
    matrix.scale = grid.scale;
    matrix.zero_point = grid.zero_point;
    matrix.offset = grid.offset;
    matrix.blocks = grid.blocks;
    matrix.group_of_column = grid.group_of_column;
    matrix.bits_of_group = grid.bits_of_group;
  }
  PreparedInput input;
  input.hessian = hessian;
  measure(result, RowSplit(before, {}), {{before, matrix.weight}}, input, name);
  result.loss = result.output_error / 2.0;
  return result;
}

}  // namespace sgpt_mi::obs

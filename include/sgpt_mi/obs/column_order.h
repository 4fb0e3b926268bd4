#pragma once

#include <ATen/ops/argsort.h>
#include <torch/types.h>

#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {

/// An order of columns and its inverse; undefined tensors: the natural order.
struct ColumnOrder {
  torch::Tensor forward;  ///< (N) int64: column at each place of the sweep
  torch::Tensor back;     ///< (N) int64: place of each column

  [[nodiscard]] torch::Tensor apply(const torch::Tensor& tensor, std::int64_t dim) const {
    return forward.defined() ? tensor.index_select(dim, forward) : tensor;
  }
  [[nodiscard]] torch::Tensor undo(const torch::Tensor& tensor, std::int64_t dim) const {
    return back.defined() ? tensor.index_select(dim, back) : tensor;
  }
};

[[nodiscard]] inline ColumnOrder order_of(const PreparedInput& input) {
  if (!input.column_order.defined()) return {};
  return {input.column_order, at::argsort(input.column_order)};
}

}  // namespace sgpt_mi::obs

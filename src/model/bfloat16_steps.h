#pragma once

#include <ATen/core/grad_mode.h>
#include <torch/types.h>

#include <cstdint>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/causal_attention.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::model {

/// Whether cpu_kernels/bfloat16_steps.h stands in for LibTorch's operations on these: they know no
/// gradients.
template <typename... Tensors>
[[nodiscard]] bool takes_bfloat16_steps(const Tensors&... tensors) {
  const bool fit = ((tensors.is_cpu() && tensors.scalar_type() == torch::kBFloat16) && ...);
  return fit && !(at::GradMode::is_enabled() && (tensors.requires_grad() || ...));
}

[[nodiscard]] inline std::uint16_t* bits_of(const torch::Tensor& x) {
  return reinterpret_cast<std::uint16_t*>(x.data_ptr<at::BFloat16>());
}

/// (B, T, heads, D) in memory; the elements of a vector must be neighbours.
template <typename T>
[[nodiscard]] cpu_kernels::HeadsView<T> heads_view(T* data, const torch::Tensor& x) {
  return {data, x.stride(0), x.stride(1), x.stride(2)};
}

/// A contiguous tensor as a matrix whose rows are its last dimension.
[[nodiscard]] inline kernels::MatrixView<std::uint16_t> rows_of(const torch::Tensor& x) {
  ensure(x.is_contiguous(), "model: rows of a tensor that has gaps");
  const std::int64_t columns = x.size(-1);
  return {bits_of(x), columns == 0 ? 0 : x.numel() / columns, columns, columns};
}

[[nodiscard]] inline kernels::MatrixView<const std::uint16_t> const_rows_of(
    const torch::Tensor& x) {
  const kernels::MatrixView<std::uint16_t> rows = rows_of(x);
  return {rows.data, rows.rows, rows.columns, rows.stride};
}

}  // namespace sgpt_mi::model

#pragma once

#include <torch/types.h>

#include <cstdint>

#include "sgpt_mi/obs/curves.h"
#include "support/random_tensor.h"

namespace sgpt_mi::obs {

constexpr std::int64_t kRows = 20;
constexpr std::int64_t kColumns = 140;  // one whole block of 128 and a rest

/// A linear whose rows matter differently.
struct Layer {
  torch::Tensor weight = test::normal(kRows, kColumns, 1);
  torch::Tensor hessian = test::correlated_hessian(kColumns, 500, 2);
  PreparedInput input = prepare_input(hessian, {}, "fc1");
  CompressOptions options;
  torch::Tensor row_weight = at::linspace(0.5, 2.0, kRows, torch::kFloat64);

  [[nodiscard]] CurveInput curve() const { return {input, options, row_weight}; }
  /// sum_r f_r [E H' E^T]_rr in double precision.
  [[nodiscard]] double damage(const torch::Tensor& compressed) const {
    const torch::Tensor e = (compressed - weight).to(torch::kFloat64);
    const torch::Tensor rows = (e.matmul(input.damped().to(torch::kFloat64)) * e).sum(1);
    return rows.mul(row_weight).sum().item<double>();
  }
};

}  // namespace sgpt_mi::obs

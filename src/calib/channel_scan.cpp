#include "channel_scan.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::calib {

ChannelFigures zero_figures(std::int64_t channels, torch::Device device) {
  const auto options = torch::TensorOptions().device(device);
  return {at::zeros({channels}, options.dtype(torch::kFloat64)),
          at::zeros({channels}, options.dtype(torch::kFloat64)),
          at::zeros({channels}, options.dtype(torch::kFloat32))};
}

torch::Tensor token_rows(const torch::Tensor& x) {
  return x.reshape({-1, x.size(-1)}).to(torch::kFloat32).contiguous();
}

torch::Tensor stored_rows(const torch::Tensor& x) {
  return x.reshape({-1, x.size(-1)}).contiguous();
}

kernels::MatrixView<std::uint16_t> bits_of(const torch::Tensor& x) {
  ensure(x.dim() == 2 && x.is_cpu() && x.is_contiguous(), "calib: not a matrix of bits");
  auto* bits = reinterpret_cast<std::uint16_t*>(x.data_ptr<at::BFloat16>());
  return {bits, x.size(0), x.size(1), x.size(1)};
}

kernels::MatrixView<const std::uint16_t> const_bits_of(const torch::Tensor& x) {
  const kernels::MatrixView<std::uint16_t> bits = bits_of(x);
  return {bits.data, bits.rows, bits.columns, bits.stride};
}

torch::Tensor product_rows(const torch::Tensor& x) {
  const bool short_type = x.scalar_type() == torch::kFloat16 || x.scalar_type() == torch::kBFloat16;
  if (!x.is_cuda() || !short_type) return token_rows(x);
  return stored_rows(x);
}

void add_product(const torch::Tensor& a, const torch::Tensor& b, torch::Tensor sum) {
  if (a.scalar_type() == torch::kFloat32) {
    sum.addmm_(a.t(), b);
  } else {
    at::addmm_out(sum, sum, a.t(), b, torch::kFloat32);
  }
}

cpu_kernels::ChannelScan add_figures(const torch::Tensor& x, ChannelFigures& figures) {
  if (x.is_cpu()) {
    const cpu_kernels::ChannelSums sums{figures.sum.data_ptr<double>(),
                                        figures.abs_sum.data_ptr<double>(),
                                        figures.abs_max.data_ptr<float>()};
    const kernels::Backend backend = quant::backend_of(x);
    return x.scalar_type() == torch::kBFloat16
               ? cpu_kernels::add_channel_sums(const_bits_of(x), sums, backend)
               : cpu_kernels::add_channel_sums(quant::view_of<const float>(x), sums, backend);
  }
  const torch::Tensor magnitude = x.abs();
  const torch::Tensor total = magnitude.sum({0}, /*keepdim=*/false, torch::kFloat32);
  figures.abs_sum += total;
  figures.sum += x.sum({0}, /*keepdim=*/false, torch::kFloat32);
  figures.abs_max = at::maximum(figures.abs_max, magnitude.amax(0).to(torch::kFloat32));
  // One NaN or infinity anywhere shows in the sum of magnitudes.
  return {at::isfinite(total.sum()).item<bool>(), x.numel()};
}

void require_finite_input(const torch::Tensor& x, const std::string& what) {
  const torch::Tensor places = at::isfinite(x).logical_not_().nonzero();
  if (places.size(0) == 0) return;
  const auto place = [&](std::int64_t d) { return places[0][d].item<std::int64_t>(); };
  fail(ErrorKind::kNumeric,
       "calib: {} is {} at sequence {}, token {}, channel {} of its batch; expected finite "
       "activations; check the model's weights, or use --dtype float32",
       what, x[place(0)][place(1)][place(2)].item<float>(), place(0), place(1), place(2));
}

}  // namespace sgpt_mi::calib

#include "linear.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>

#include <string_view>

namespace sgpt_mi::model {
namespace {

using Bias = std::optional<torch::Tensor>;
using OneDnnLinear = torch::Tensor(const torch::Tensor&, const torch::Tensor&, const Bias&,
                                   std::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<std::string_view>);

/// Multiply-adds below which a call of oneDNN costs more than its kernels save (measured).
constexpr std::int64_t kLeastProducts = 1 << 22;

/// Whether MKL falls back to AVX2 on a processor that has AVX-512.
bool mkl_is_slow() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_is("intel") == 0;
#else
  return false;
#endif
}

/// LibTorch's operator on oneDNN; nothing where it was built without, or where MKL is as fast.
std::optional<c10::OperatorHandle> find_onednn() {
  if (!mkl_is_slow()) return std::nullopt;
  return c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
}

bool needs_gradient(const torch::Tensor& x, const torch::Tensor& weight, const Bias& bias) {
  return at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() ||
                                        (bias && bias->defined() && bias->requires_grad()));
}

}  // namespace

torch::Tensor apply_linear(const torch::Tensor& x, const torch::Tensor& weight, const Bias& bias) {
  static const std::optional<c10::OperatorHandle> onednn = find_onednn();
  const bool fits = onednn && x.is_cpu() && x.scalar_type() == torch::kFloat32 &&
                    weight.scalar_type() == torch::kFloat32 && x.is_contiguous() &&
                    weight.is_contiguous() && x.numel() * weight.size(0) >= kLeastProducts;
  if (!fits || needs_gradient(x, weight, bias)) return at::linear(x, weight, bias);
  return onednn->typed<OneDnnLinear>().call(x, weight, bias, "none",
                                            c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace sgpt_mi::model

#include "sgpt_mi/quant/tensor_view.h"

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <type_traits>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::quant {

template <typename T>
kernels::MatrixView<T> view_of(const torch::Tensor& tensor) {
  using Element = std::remove_const_t<T>;
  ensure(tensor.dim() == 2 && tensor.scalar_type() == c10::CppTypeToScalarType<Element>::value,
         "quant: a kernel got a tensor of another shape or type");
  ensure(tensor.size(1) <= 1 || tensor.stride(1) == 1,
         "quant: a kernel got a tensor whose rows are not contiguous");
  // A single row may carry any stride.
  const std::int64_t stride = tensor.size(0) > 1 ? tensor.stride(0) : tensor.size(1);
  return {tensor.data_ptr<Element>(), tensor.size(0), tensor.size(1), stride};
}

template kernels::MatrixView<float> view_of<float>(const torch::Tensor&);
template kernels::MatrixView<const float> view_of<const float>(const torch::Tensor&);
template kernels::MatrixView<bool> view_of<bool>(const torch::Tensor&);
template kernels::MatrixView<std::int16_t> view_of<std::int16_t>(const torch::Tensor&);
template kernels::MatrixView<const std::int16_t> view_of<const std::int16_t>(const torch::Tensor&);
template kernels::MatrixView<std::uint8_t> view_of<std::uint8_t>(const torch::Tensor&);
template kernels::MatrixView<const std::uint8_t> view_of<const std::uint8_t>(const torch::Tensor&);

ParallelFor torch_threads() {
  return [](std::int64_t count, std::int64_t grain,
            const std::function<void(std::int64_t, std::int64_t)>& body) {
    at::parallel_for(0, count, grain, body);
  };
}

kernels::Backend backend_of(const torch::Tensor& tensor) {
  kernels::Backend backend;
  backend.parallel_for = torch_threads();
  backend.cuda = tensor.is_cuda();
  if (backend.cuda) {
    const c10::impl::VirtualGuardImpl device(c10::DeviceType::CUDA);
    backend.cuda_stream = device.getStream(tensor.device()).native_handle();
  }
  return backend;
}

}  // namespace sgpt_mi::quant

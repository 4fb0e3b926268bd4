#include <spdlog/fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::model {

namespace {

constexpr std::array<std::pair<DType, torch::ScalarType>, 10> kTypes{{
    {DType::kF64, torch::kFloat64},
    {DType::kF32, torch::kFloat32},
    {DType::kF16, torch::kFloat16},
    {DType::kBF16, torch::kBFloat16},
    {DType::kI64, torch::kInt64},
    {DType::kI32, torch::kInt32},
    {DType::kI16, torch::kInt16},
    {DType::kI8, torch::kInt8},
    {DType::kU8, torch::kUInt8},
    {DType::kBool, torch::kBool},
}};

/// Index [i, j, ...] of the element at `position` in row-major order.
std::vector<std::int64_t> unravel(std::int64_t position, at::IntArrayRef shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = position % shape[axis];
    position /= shape[axis];
  }
  return index;
}

}  // namespace

torch::ScalarType to_scalar_type(DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  fail(ErrorKind::kInternal, "model: no torch type for DType {}", static_cast<int>(dtype));
}

DType from_scalar_type(torch::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  fail(ErrorKind::kInternal, "model: no checkpoint type for torch's {}", at::toString(type));
}

torch::Tensor to_torch(const containers::TensorData& data) {
  const torch::ScalarType type = to_scalar_type(data.info.dtype);
  const auto options = torch::TensorOptions(type);
  const auto address = reinterpret_cast<std::uintptr_t>(data.bytes.data());
  if (data.bytes.empty() || address % dtype_size(data.info.dtype) != 0) {
    torch::Tensor copy = at::empty(data.info.shape, options);
    if (!data.bytes.empty()) std::memcpy(copy.data_ptr(), data.bytes.data(), data.bytes.size());
    return copy;
  }
  // torch has no read-only tensors; nothing in the program writes to one that came from here.
  void* const memory = const_cast<std::byte*>(data.bytes.data());
  return at::from_blob(
      memory, data.info.shape, [owner = data.owner](void*) {}, options);
}

containers::TensorData to_tensor_data(const std::string& name, const torch::Tensor& value) {
  auto owner = std::make_shared<torch::Tensor>(value.detach().to(torch::kCPU).contiguous());
  const auto* bytes = static_cast<const std::byte*>(owner->const_data_ptr());
  return {{name, from_scalar_type(owner->scalar_type()), owner->sizes().vec()},
          {bytes, owner->nbytes()},
          owner};
}

void require_finite(const torch::Tensor& tensor, const std::string& name) {
  if (tensor.numel() == 0) return;
  // The extremes are NaN if any element is: one pass that allocates nothing.
  const auto [least, largest] = tensor.aminmax();
  if (std::isfinite(least.item<double>()) && std::isfinite(largest.item<double>())) return;
  const torch::Tensor bad = at::isfinite(tensor).logical_not_().flatten().nonzero();
  const std::int64_t position = bad[0].item<std::int64_t>();
  const double value = tensor.flatten()[position].item<double>();
  fail(ErrorKind::kNumeric, "{}: {} at index [{}]; expected finite values", name,
       std::isnan(value) ? "NaN" : "infinity", fmt::join(unravel(position, tensor.sizes()), ", "));
}

}  // namespace sgpt_mi::model

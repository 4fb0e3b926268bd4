#include "row_split.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "row_products.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::obs {
namespace {

/// Whether a row's grid, or the price of its levels, depends on other rows.
bool rows_share_grids(const CompressOptions& options) {
  if (options.levels) return true;
  return options.groups && options.groups->sharing != quant::GridSharing::kRowGroup;
}

PreparedInput copy_of(const PreparedInput& input, torch::Device device) {
  PreparedInput copy;
  copy.hessian = input.hessian.to(device);
  copy.upper = input.upper.to(device);
  if (input.column_order.defined()) copy.column_order = input.column_order.to(device);
  copy.damping = input.damping;
  return copy;
}

}  // namespace

RowSplit::RowSplit(const torch::Tensor& weight, const CompressOptions& options)
    : product_rows_(options.rows.product_rows) {
  const RowPlacement& placement = options.rows;
  ensure(placement.devices.empty() || placement.devices.front() == weight.device(),
         "obs: the weight is not on the first of the devices that share its rows");
  ensure(product_rows_ >= 0 && product_rows_ % kProductRowStep == 0,
         "obs: the rows of a product are not a multiple of 64");
  const std::int64_t rows = weight.size(0);
  const std::int64_t products = product_count(rows, product_rows_);
  std::int64_t parts = 1;
  if (!rows_share_grids(options)) {
    parts =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(placement.devices.size()), 1, products);
  }
  // Where the products do not come out even, the last devices have one more: the first has the
  // model to hold as well, and the last product may be short.
  const auto start = [&](std::int64_t part) {
    return part == parts ? rows : part * products / parts * product_rows_;
  };
  for (std::int64_t part = 0; part < parts; ++part) {
    const torch::Device device =
        parts == 1 ? weight.device() : placement.devices[static_cast<std::size_t>(part)];
    parts_.push_back({device, start(part), start(part + 1) - start(part)});
  }
}

const PreparedInput& RowSplit::input_of(std::size_t part, const PreparedInput& input) const {
  if (part == 0) return input;
  ensure(part <= input.copies.size(), "obs: H was not prepared for all devices of the rows");
  return input.copies[part - 1];
}

std::vector<torch::Tensor> RowSplit::scatter(const torch::Tensor& tensor) const {
  if (parts_.size() == 1) return {tensor};
  std::vector<torch::Tensor> tensors;
  tensors.reserve(parts_.size());
  for (const Part& part : parts_) {
    tensors.push_back(tensor.narrow(0, part.first, part.rows).to(part.device));
  }
  return tensors;
}

torch::Tensor RowSplit::join(std::vector<torch::Tensor>& tensors) const {
  if (tensors.size() == 1) return std::move(tensors.front());
  for (torch::Tensor& tensor : tensors) tensor = tensor.to(parts_.front().device);
  return at::cat(tensors);
}

float kth_smallest_of(const std::vector<torch::Tensor>& parts, std::int64_t k) {
  std::vector<torch::Tensor> values;  // keeps what contiguous() makes
  std::vector<kernels::ValueRun> runs;
  values.reserve(parts.size());
  runs.reserve(parts.size());
  for (const torch::Tensor& part : parts) {
    const c10::DeviceGuard guard(part.device());
    values.push_back(part.contiguous());
    runs.push_back({values.back().data_ptr<float>(), part.numel(), quant::backend_of(part),
                    part.device().index()});
  }
  return kernels::kth_smallest(runs, k);
}

void copy_to_devices(PreparedInput& input, const RowPlacement& placement) {
  input.copies.clear();
  for (std::size_t i = 1; i < placement.devices.size(); ++i) {
    input.copies.push_back(copy_of(input, placement.devices[i]));
  }
}

}  // namespace sgpt_mi::obs

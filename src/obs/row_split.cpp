#include "sgpt_mi/obs/row_split.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::obs {
namespace {

/// Whether a row's grid depends on other rows.
bool rows_share_grids(const CompressOptions& options) {
  return options.groups && options.groups->sharing != quant::GridSharing::kRowGroup;
}

/// The first product of a part of several.
std::int64_t first_product(std::int64_t products, std::int64_t part, std::int64_t parts) {
  return part * products / parts;
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

bool shares_rows(std::int64_t rows, const CompressOptions& options) {
  const RowPlacement& placement = options.rows;
  return !placement.world.alone() && !rows_share_grids(options) &&
         product_count(rows, placement.product_rows) >= placement.world.size();
}

RowSplit::RowSplit(const torch::Tensor& weight, const CompressOptions& options)
    : product_rows_(options.rows.product_rows) {
  const RowPlacement& placement = options.rows;
  ensure(placement.devices.empty() || placement.devices.front() == weight.device(),
         "obs: the weight is not on the first of the devices that share its rows");
  ensure(product_rows_ >= 0 && product_rows_ % kProductRowStep == 0,
         "obs: the rows of a product are not a multiple of 64");
  const std::int64_t rows = weight.size(0);
  const std::int64_t products = product_count(rows, product_rows_);
  if (shares_rows(rows, options)) world_ = placement.world;
  // Prices of levels come from the levels of all rows, on one device.
  const bool one_device = rows_share_grids(options) || options.levels || !world_.alone();
  std::int64_t parts = 1;
  if (!one_device) {
    parts =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(placement.devices.size()), 1, products);
  }
  // Where the products do not come out even, the last parts have one more: the first device has the
  // model to hold as well, and the last product may be short.
  const std::int64_t all = world_.size() * parts;
  const auto start = [&](std::int64_t part) {
    return part == all ? rows : first_product(products, part, all) * product_rows_;
  };
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t part = world_.rank() * parts + i;
    const torch::Device device =
        parts == 1 ? weight.device() : placement.devices[static_cast<std::size_t>(i)];
    parts_.push_back({device, start(part), start(part + 1) - start(part)});
  }
}

const PreparedInput& RowSplit::input_of(std::size_t part, const PreparedInput& input) const {
  if (part == 0) return input;
  ensure(part <= input.copies.size(), "obs: H was not prepared for all devices of the rows");
  return input.copies[part - 1];
}

std::vector<torch::Tensor> RowSplit::scatter(const torch::Tensor& tensor) const {
  if (parts_.size() == 1 && world_.alone()) return {tensor};
  std::vector<torch::Tensor> tensors;
  tensors.reserve(parts_.size());
  for (const Part& part : parts_) {
    tensors.push_back(tensor.narrow(0, part.first, part.rows).to(part.device));
  }
  return tensors;
}

torch::Tensor RowSplit::join(std::vector<torch::Tensor>& tensors) const {
  const torch::Device device = parts_.front().device;
  for (torch::Tensor& tensor : tensors) tensor = tensor.to(device);
  const torch::Tensor joined = tensors.size() == 1 ? tensors.front() : at::cat(tensors);
  return ranks::gather_rows(world_, joined, device);
}

void copy_to_devices(PreparedInput& input, const RowPlacement& placement) {
  input.copies.clear();
  for (std::size_t i = 1; i < placement.devices.size(); ++i) {
    input.copies.push_back(copy_of(input, placement.devices[i]));
  }
}

}  // namespace sgpt_mi::obs

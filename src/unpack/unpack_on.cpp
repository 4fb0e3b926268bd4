#include "sgpt_mi/unpack/unpack_on.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <variant>
#include <vector>

#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/kernels/decode_levels.h"
#include "sgpt_mi/kernels/dequantize_packed.h"
#include "sgpt_mi/packing/packed_streams.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::unpack {
namespace {

constexpr std::int64_t kStepRows = 512;  // whose steps are in memory at once

/// Arrays copied to a device, as long as this lives; the copies are queued on its current stream.
class Copies {
 public:
  explicit Copies(torch::Device device) : device_(device) {}

  template <typename T>
  [[nodiscard]] const T* of(std::span<const T> values) {
    return static_cast<const T*>(copied(values.data(), values.size_bytes()).const_data_ptr());
  }
  template <typename T>
  [[nodiscard]] const T* of(const std::vector<T>& values) {
    return of(std::span<const T>(values));
  }
  /// Nothing stays nothing.
  template <typename T>
  [[nodiscard]] const T* of(const T* values, std::int64_t count) {
    return values == nullptr ? nullptr : of(std::span(values, static_cast<std::size_t>(count)));
  }

  /// (rows, columns) float32, to compute with.
  [[nodiscard]] torch::Tensor matrix(const std::vector<float>& values, std::int64_t rows) {
    return copied(values.data(), values.size() * sizeof(float))
        .view(torch::kFloat32)
        .view({rows, -1});
  }

 private:
  torch::Tensor copied(const void* bytes, std::size_t count) {
    const auto options = torch::TensorOptions(torch::kUInt8).pinned_memory(device_.is_cuda());
    const torch::Tensor here = at::empty({static_cast<std::int64_t>(count)}, options);
    if (count > 0) std::memcpy(here.data_ptr(), bytes, count);
    return copies_.emplace_back(here.to(device_, /*non_blocking=*/true));
  }

  torch::Device device_;
  std::vector<torch::Tensor> copies_;
};

torch::ScalarType scalar_type(DType dtype) {
  if (dtype == DType::kF32) return torch::kFloat32;
  return dtype == DType::kF16 ? torch::kFloat16 : torch::kBFloat16;
}

kernels::FloatType float_type(DType dtype) {
  if (dtype == DType::kF32) return kernels::FloatType::kFloat32;
  return dtype == DType::kF16 ? kernels::FloatType::kFloat16 : kernels::FloatType::kBFloat16;
}

std::span<const std::uint8_t> bytes_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

torch::Tensor unpack_contents(torch::Device device, const packing::PackedStreams& packed) {
  const auto options = torch::TensorOptions(scalar_type(packed.dtype)).device(device);
  torch::Tensor values = at::empty({packed.rows, packed.columns}, options);
  Copies copies(device);
  kernels::PackedWeights weights;
  weights.rows = packed.rows;
  weights.columns = weights.stride = packed.columns;
  for (const packing::PackedCodeStream& codes : packed.codes) {
    weights.streams[weights.stream_count++] = {
        copies.of(bytes_of(codes.bits)), codes.width,
        codes.column.empty() ? nullptr : copies.of(codes.column), codes.columns,
        copies.of(codes.first)};
  }
  if (!packed.pattern.empty()) {
    weights.kept = {copies.of(bytes_of(packed.mask)), packed.mask_width, packed.mask_size,
                    copies.of(packed.pattern)};
  }
  const std::int64_t stride = packed.grid_rows == 1 ? 0 : packed.groups;
  weights.scale = {copies.of(packed.scale), packed.rows, packed.groups, stride};
  weights.zero = {copies.of(packed.zero), packed.rows, packed.groups, stride};
  weights.group_of_column = copies.of(packed.group_of_column);
  weights.type = float_type(packed.dtype);
  weights.values = values.data_ptr();
  kernels::dequantize_packed(weights, quant::backend_of(values));
  return values;
}

/// Levels (rows, columns) int16, after they have been checked.
torch::Tensor decoded_levels(torch::Device device, const packing::PackedLevels& packed) {
  const entropy::LevelReader reader(packed.coded, packed.rows, packed.columns);
  reader.check_sums(quant::torch_threads());
  const auto options = torch::TensorOptions().device(device);
  Copies copies(device);
  kernels::LevelStreams streams = reader.streams();
  const std::int64_t chunks = streams.chunks();
  torch::Tensor levels = at::empty({packed.rows, packed.columns}, options.dtype(torch::kInt16));
  const torch::Tensor ended = at::empty({chunks}, options.dtype(torch::kUInt8));
  const std::int64_t lanes = chunks * kernels::kLevelLanes;
  streams.bytes = copies.of(streams.bytes, streams.lane_begin[lanes]);
  streams.lane_begin = copies.of(streams.lane_begin, lanes + 1);
  streams.row_label = copies.of(streams.row_label, packed.rows);
  streams.place_label = copies.of(streams.place_label, packed.columns);
  streams.column_of_place = copies.of(streams.column_of_place, packed.columns);
  streams.slot = copies.of(streams.slot, streams.tables * std::int64_t{kernels::kSlots});
  streams.levels = levels.data_ptr<std::int16_t>();
  streams.ended = ended.data_ptr<std::uint8_t>();
  kernels::decode_levels(streams, quant::backend_of(levels));
  const torch::Tensor ends = ended.cpu();
  reader.require_ended({ends.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(chunks)});
  packed.require_kept(levels.count_nonzero().item<std::int64_t>());
  return levels;
}

torch::Tensor unpack_contents(torch::Device device, const packing::PackedLevels& packed) {
  const torch::Tensor levels = decoded_levels(device, packed);
  Copies copies(device);
  torch::Tensor scale = copies.matrix(packed.scale, packed.grid_rows);
  torch::Tensor column_scale;
  if (!packed.column_scale.empty()) column_scale = copies.matrix(packed.column_scale, 1);
  torch::Tensor group;
  if (packed.groups > 1) {
    group = at::empty({packed.columns}, torch::kInt32);
    std::copy(packed.group_of_column.begin(), packed.group_of_column.end(),
              group.data_ptr<std::int32_t>());
    group = group.to(device);
  }
  const auto options = torch::TensorOptions(scalar_type(packed.dtype)).device(device);
  torch::Tensor values = at::empty({packed.rows, packed.columns}, options);
  for (std::int64_t row = 0; row < packed.rows; row += kStepRows) {
    const std::int64_t count = std::min(kStepRows, packed.rows - row);
    torch::Tensor step = packed.grid_rows == 1 ? scale : scale.narrow(0, row, count);
    if (group.defined()) step = step.index_select(1, group);
    if (column_scale.defined()) step = step * column_scale;
    values.narrow(0, row, count).copy_(levels.narrow(0, row, count).to(torch::kFloat32).mul_(step));
  }
  return values;
}

}  // namespace

torch::Tensor unpack_on(torch::Device device, const packing::PackedParts& parts) {
  const c10::DeviceGuard guard(device);
  return std::visit([&](const auto& packed) { return unpack_contents(device, packed); },
                    packing::read_packed_contents(parts, quant::torch_threads()));
}

}  // namespace sgpt_mi::unpack

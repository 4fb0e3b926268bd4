#include "support/map_twins.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <vector>

#include "sgpt_mi/quant/tensor_view.h"
#include "support/gpu.h"

namespace sgpt_mi::test {
namespace {

torch::Tensor on_host(const void* bytes, std::size_t count) {
  return at::from_blob(const_cast<void*>(bytes), {static_cast<std::int64_t>(count)}, torch::kUInt8);
}

/// The GPU, with memory in tensors of bytes.
TwinDevice gpu() {
  const torch::TensorOptions bytes = torch::TensorOptions().dtype(torch::kUInt8);
  TwinDevice device;
  device.backend = quant::backend_of(at::empty({1}, bytes.device(torch::kCUDA)));
  device.place = [blocks = std::vector<torch::Tensor>()](const void* from,
                                                         std::size_t count) mutable -> void* {
    return blocks.emplace_back(on_host(from, count).to(torch::kCUDA)).data_ptr();
  };
  device.fetch = [bytes](void* to, const void* from, std::size_t count) {
    const torch::Tensor there = at::from_blob(
        const_cast<void*>(from), {static_cast<std::int64_t>(count)}, bytes.device(torch::kCUDA));
    on_host(to, count).copy_(there);
  };
  return device;
}

TEST(KernelTwins, Correlate) {
  SGPT_MI_GPU_OR_SKIP();
  twins::correlate(gpu());
}

TEST(KernelTwins, FindDegrees) {
  SGPT_MI_GPU_OR_SKIP();
  twins::find_degrees(gpu());
}

TEST(KernelTwins, ScaleRows) {
  SGPT_MI_GPU_OR_SKIP();
  twins::scale_rows(gpu());
}

TEST(KernelTwins, DequantizePacked) {
  SGPT_MI_GPU_OR_SKIP();
  twins::dequantize_packed(gpu());
}

TEST(KernelTwins, DecodeLevels) {
  SGPT_MI_GPU_OR_SKIP();
  twins::decode_levels(gpu());
}

}  // namespace
}  // namespace sgpt_mi::test

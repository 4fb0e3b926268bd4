#include "packed_values.h"

#include <cmath>
#include <cstring>

#include "sgpt_mi/cpu_kernels/dequantize.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::packing {

std::vector<std::uint16_t> read_scales(const PackedParts& parts, PackedPartKind kind) {
  const std::span<const std::byte> bytes = parts.at(kind)->bytes;
  std::vector<std::uint16_t> scales(bytes.size() / sizeof(std::uint16_t));
  std::memcpy(scales.data(), bytes.data(), bytes.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (scales[i] == 0 || scales[i] >= 0x7c00U) {  // infinity, NaN and negative ones lie above
      refuse_packed(parts,
                    "part {}{} holds the pattern {:#06x} at place {}; a positive, finite "
                    "number was expected",
                    parts.name, packed_suffix(kind), scales[i], i);
    }
  }
  return scales;
}

std::vector<float> scales_as_floats(const PackedParts& parts, PackedPartKind kind, int exponent) {
  const float unit = std::ldexp(1.0F, exponent);
  std::vector<float> scales;
  for (const std::uint16_t scale : read_scales(parts, kind)) {
    scales.push_back(kernels::half_to_float(scale) * unit);
  }
  return scales;
}

void store_row(const std::vector<float>& values, DType dtype, std::vector<std::uint16_t>& rounded,
               std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  const auto count = static_cast<std::int64_t>(values.size());
  if (dtype == DType::kF16) {
    cpu_kernels::round_to_half(values.data(), count, rounded.data());
  } else {
    cpu_kernels::round_to_bfloat16(values.data(), count, rounded.data());
  }
  std::memcpy(out, rounded.data(), rounded.size() * sizeof(std::uint16_t));
}

}  // namespace sgpt_mi::packing

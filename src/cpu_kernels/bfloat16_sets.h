#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

using Bfloat16View = kernels::MatrixView<const std::uint16_t>;

/// Products of bfloat16 by one instruction set; shapes are not checked again.
struct Bfloat16Set {
  std::string_view name;  ///< of the instruction set
  /// add_second_moment()
  void (*add_moment)(const Bfloat16View& x, const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend) = nullptr;
  /// add_bfloat16_product()
  void (*add_product)(const Bfloat16View& a, const Bfloat16View& b,
                      const kernels::MatrixView<float>& product,
                      const kernels::Backend& backend) = nullptr;
};

/// Those that this machine can run, the fastest first; empty where it multiplies no bfloat16.
[[nodiscard]] std::vector<Bfloat16Set> bfloat16_sets();

/// Both by AMX tiles. Only where has_bfloat16_tiles().
///
/// Cost: of the moment tokens N (N + 32) / 2 multiply-adds, of the product tokens N M with N and M
/// filled up to multiples of 32; tokens are filled up to a multiple of 32. 2 KiB of memory a column
/// of x, 1 KiB a column of a and b.
void add_tile_moment(const Bfloat16View& x, const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend);
void add_tile_product(const Bfloat16View& a, const Bfloat16View& b,
                      const kernels::MatrixView<float>& product, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels

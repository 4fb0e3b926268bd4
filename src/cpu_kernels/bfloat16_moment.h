#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// add_second_moment() of bfloat16 by one instruction set; shapes are not checked again.
struct Bfloat16Moment {
  std::string_view name;  ///< of the instruction set
  void (*add)(const kernels::MatrixView<const std::uint16_t>& x,
              const kernels::MatrixView<float>& second_moment,
              const kernels::Backend& backend) = nullptr;
};

/// Those that this machine can run, the fastest first; empty where it multiplies no bfloat16.
[[nodiscard]] std::vector<Bfloat16Moment> bfloat16_moments();

/// The second moment by AMX tiles. Only where has_bfloat16_tiles().
///
/// Cost: tokens N (N + 32) / 2 multiply-adds, of tokens filled up to a multiple of 32, and 2 KiB of
/// memory a column.
void add_tile_moment(const kernels::MatrixView<const std::uint16_t>& x,
                     const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels

#pragma once

#include <torch/types.h>

#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::unpack {

/// The dense matrix (rows, columns) of a packed one, on `device` in the type of its record: packed
/// bytes are copied there and decoded there, codes and values by kernels::dequantize_packed, levels
/// by kernels::decode_levels. The bits are those of packing::unpack_matrix, which is faster where
/// the device is the CPU.
///
/// On a GPU all is queued on the current stream; for levels the call waits until it can say that
/// their lanes ended. Cost: a pass over the packed bytes here for their checksums, their copy, a
/// pass over the weights there. Memory there besides the result: the packed bytes; for levels 3
/// bytes a weight, and a few rows of steps.
///
/// \throws Error(kInput) as packing::unpack_matrix.
[[nodiscard]] torch::Tensor unpack_on(torch::Device device, const packing::PackedParts& parts);

}  // namespace sgpt_mi::unpack

#pragma once

#include <cstdint>
#include <string>

#include "sgpt_mi/formats/saved_size.h"

namespace sgpt_mi::compress {

/// Rows of an embedding or a head that are worked on at a time: a table of 128,256 rows of 4,096
/// would take 2 GB a temporary.
inline constexpr std::int64_t kEndRowsAtOnce = 4096;

/// The checkpoint's name of a matrix.
[[nodiscard]] inline std::string tensor_of(const formats::MatrixShape& matrix) {
  return matrix.name + ".weight";
}

}  // namespace sgpt_mi::compress

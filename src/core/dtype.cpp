#include "sgpt_mi/core/dtype.h"

#include <array>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t size;
  bool floating;
};

constexpr std::array<Row, 10> kRows{{{DType::kF64, "F64", 8, true},
                                     {DType::kF32, "F32", 4, true},
                                     {DType::kF16, "F16", 2, true},
                                     {DType::kBF16, "BF16", 2, true},
                                     {DType::kI64, "I64", 8, false},
                                     {DType::kI32, "I32", 4, false},
                                     {DType::kI16, "I16", 2, false},
                                     {DType::kI8, "I8", 1, false},
                                     {DType::kU8, "U8", 1, false},
                                     {DType::kBool, "BOOL", 1, false}}};

const Row& row_of(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row;
  }
  fail(ErrorKind::kInternal, "core: unknown dtype {}", static_cast<int>(dtype));
}

}  // namespace

std::size_t dtype_size(DType dtype) { return row_of(dtype).size; }

std::string_view dtype_name(DType dtype) { return row_of(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

bool is_floating(DType dtype) { return row_of(dtype).floating; }

}  // namespace sgpt_mi

#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "sgpt_mi/kernels/backend.h"
#include "support/matrix.h"

namespace sgpt_mi::test {

/// A backend and its memory, for tests that run an op in several places.
struct TwinDevice {
  kernels::Backend backend;
  /// Memory of the device with a copy of these bytes; lives as long as the device.
  std::function<void*(const void* bytes, std::size_t count)> place;
  /// Copies from memory of the device, after all that was started there.
  std::function<void(void* to, const void* from, std::size_t count)> fetch;
};

/// The processor; also memory of the emulated device. Every array has a block of its own, so that
/// sanitizers see what goes beyond it.
inline TwinDevice host_device(kernels::Backend backend) {
  TwinDevice device;
  device.backend = std::move(backend);
  device.place = [blocks = std::vector<std::vector<char>>()](const void* bytes,
                                                             std::size_t count) mutable -> void* {
    const auto* first = static_cast<const char*>(bytes);
    return blocks.emplace_back(first, first + count).data();
  };
  device.fetch = [](void* to, const void* from, std::size_t count) {
    std::memcpy(to, from, count);
  };
  return device;
}

/// A copy of a vector on a device.
template <typename T>
T* placed(TwinDevice& device, const std::vector<T>& values) {
  return static_cast<T*>(device.place(values.data(), values.size() * sizeof(T)));
}

/// A matrix on a device, with all that lies between and behind its rows.
template <typename T>
class PlacedMatrix {
 public:
  PlacedMatrix(TwinDevice& device, Matrix<T> host) : device_(device), host_(std::move(host)) {
    data_ = static_cast<T*>(device.place(host_.const_view().data, bytes()));
  }

  [[nodiscard]] kernels::MatrixView<T> view() const {
    const kernels::MatrixView<const T> shape = host_.const_view();
    return {data_, shape.rows, shape.columns, shape.stride};
  }
  [[nodiscard]] kernels::MatrixView<const T> const_view() const {
    const kernels::MatrixView<T> shape = view();
    return {shape.data, shape.rows, shape.columns, shape.stride};
  }

  /// The matrix as it is on the device now.
  [[nodiscard]] Matrix<T> fetched() const {
    Matrix<T> result = host_;
    device_.fetch(result.view().data, data_, bytes());
    return result;
  }

 private:
  [[nodiscard]] std::size_t bytes() const {
    const kernels::MatrixView<const T> shape = host_.const_view();
    const std::int64_t padding = shape.stride - shape.columns;
    return static_cast<std::size_t>(shape.rows * shape.stride + padding) * sizeof(T);
  }

  TwinDevice& device_;
  Matrix<T> host_;
  T* data_;
};

template <typename T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// Expects equal elements, NaN included, and nothing but `guard` around them.
template <typename T>
void expect_same(const Matrix<T>& found, const Matrix<T>& expected, T guard, const char* name) {
  ASSERT_EQ(found.rows(), expected.rows());
  ASSERT_EQ(found.columns(), expected.columns());
  for (std::int64_t i = 0; i < found.rows(); ++i) {
    for (std::int64_t j = 0; j < found.columns(); ++j) {
      ASSERT_TRUE(same_bits(found(i, j), expected(i, j)))
          << name << " " << i << ", " << j << ": " << +found(i, j) << " instead of "
          << +expected(i, j);
    }
  }
  EXPECT_TRUE(found.padding_is(guard)) << name << ": written outside";
}

}  // namespace sgpt_mi::test

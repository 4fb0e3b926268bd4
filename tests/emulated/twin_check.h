#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "emulator.h"
#include "sgpt_mi/kernels/backend.h"
#include "support/matrix.h"

namespace sgpt_mi::test {

/// The emulated device.
inline kernels::Backend emulated_backend() {
  kernels::Backend backend;
  backend.cuda = true;
  return backend;
}

/// Runs a test's body once for every order of the emulated threads.
template <typename Body>
void in_both_orders(const Body& body) {
  for (const auto turns : {emulated::Turns::kAscending, emulated::Turns::kDescending}) {
    SCOPED_TRACE(turns == emulated::Turns::kAscending ? "ascending turns" : "descending turns");
    emulated::set_turns(turns);
    body();
  }
  emulated::set_turns(emulated::Turns::kAscending);
}

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

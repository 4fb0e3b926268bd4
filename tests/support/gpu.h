#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

namespace sgpt_mi::test {

/// Whether a missing GPU is a failure: SGPT_MI_REQUIRE_GPU=1.
inline bool gpu_required() {
  const char* set = std::getenv("SGPT_MI_REQUIRE_GPU");
  return set != nullptr && std::string_view(set) == "1";
}

}  // namespace sgpt_mi::test

/// Skips the current test, with the reason, unless a CUDA device can be used; fails it instead when
/// a GPU is required.
#define SGPT_MI_GPU_OR_SKIP()                                                                 \
  if (!at::hasCUDA()) {                                                                       \
    if (sgpt_mi::test::gpu_required()) FAIL() << "SGPT_MI_REQUIRE_GPU=1, but no CUDA device"; \
    GTEST_SKIP() << "no CUDA device, or a build without CUDA";                                \
  }                                                                                           \
  static_assert(true, "a semicolon follows")

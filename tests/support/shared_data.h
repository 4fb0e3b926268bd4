#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sgpt_mi::test {

/// The folder of real texts, models and golden results: SGPT_MI_SHARED, else ../shared beside the
/// checkout. Empty when it is not there.
inline std::filesystem::path shared_dir() {
  if (const char* set = std::getenv("SGPT_MI_SHARED"); set != nullptr) return set;
  const std::filesystem::path beside =
      std::filesystem::path(SGPT_MI_SOURCE_DIR).parent_path() / "shared";
  return std::filesystem::exists(beside / "golden") ? beside : std::filesystem::path();
}

}  // namespace sgpt_mi::test

/// Skips the current test, with the reason, unless shared_dir() / relative exists; else defines
/// `variable` as that path.
#define SGPT_MI_SHARED_OR_SKIP(variable, relative)                                 \
  const std::filesystem::path variable = sgpt_mi::test::shared_dir() / (relative); \
  if (sgpt_mi::test::shared_dir().empty() || !std::filesystem::exists(variable))   \
  GTEST_SKIP() << "golden data not found (" << (relative) << "); set SGPT_MI_SHARED to its folder"

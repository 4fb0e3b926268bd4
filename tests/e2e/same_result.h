#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "support/temporary_folder.h"

namespace sgpt_mi::test {

/// A report without what depends on the clock.
inline nlohmann::json without_seconds(const std::string& text) {
  nlohmann::json report = nlohmann::json::parse(text);
  report.erase("timings");
  report.erase("peak_bytes");
  for (nlohmann::json& layer : report["layers"]) layer.erase("seconds");
  return report;
}

/// Two saved runs, but for the clock.
inline void expect_same_files(const std::filesystem::path& resumed,
                              const std::filesystem::path& whole) {
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(whole)) {
    const std::filesystem::path name = entry.path().filename();
    const std::string left = read_all(resumed / name);
    const std::string right = read_all(whole / name);
    if (name == "sgpt_mi.json") {
      EXPECT_EQ(without_seconds(left), without_seconds(right));
    } else {
      EXPECT_TRUE(left == right) << name << " has other bytes";
    }
  }
}

}  // namespace sgpt_mi::test

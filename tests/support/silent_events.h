#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/report/events.h"

namespace sgpt_mi::test {

/// Keeps what a run tells.
class SilentEvents : public report::Events {
 public:
  void plan(const std::string& line) override { plan_lines.push_back(line); }
  void warning(const std::string& text) override { warnings.push_back(text); }

  std::vector<std::string> plan_lines;
  std::vector<std::string> warnings;
};

}  // namespace sgpt_mi::test

#pragma once

#include <chrono>
#include <map>
#include <string>

namespace sgpt_mi::pipeline {

/// Adds the time between construction and destruction to a named stage, in seconds.
class StageTimer {
 public:
  StageTimer(std::map<std::string, double>& timings, std::string stage)
      : timings_(timings), stage_(std::move(stage)) {}
  ~StageTimer() { timings_[stage_] += seconds(); }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::map<std::string, double>& timings_;
  std::string stage_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace sgpt_mi::pipeline

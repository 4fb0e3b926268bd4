#pragma once

#include <functional>
#include <map>
#include <string>

#include "sgpt_mi/walk/trace.h"

namespace sgpt_mi::walk {

/// Adds the time between construction and destruction to a named stage, in seconds, and the stage
/// to the trace.
class StageTimer {
 public:
  /// \param detail  what the stage works on, for the trace.
  StageTimer(std::map<std::string, double>& timings, std::string stage, std::string detail = {});
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

  [[nodiscard]] double seconds() const;

 private:
  std::map<std::string, double>& timings_;
  std::string stage_;
  std::string detail_;
  Trace::Clock::time_point start_ = Trace::Clock::now();
};

/// From now on every StageTimer calls `wait` before it reads the end of a stage: on a GPU, whose
/// work goes on after a call has returned, so that a stage is charged for what it started. Empty:
/// nothing is called.
void set_stage_fence(std::function<void()> wait);

}  // namespace sgpt_mi::walk

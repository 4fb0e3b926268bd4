#include "sgpt_mi/walk/stage_clock.h"

#include <utility>

namespace sgpt_mi::walk {
namespace {

std::function<void()>& stage_fence() {
  static std::function<void()> fence;
  return fence;
}

}  // namespace

void set_stage_fence(std::function<void()> wait) { stage_fence() = std::move(wait); }

StageTimer::StageTimer(std::map<std::string, double>& timings, std::string stage,
                       std::string detail)
    : timings_(timings), stage_(std::move(stage)), detail_(std::move(detail)) {}

StageTimer::~StageTimer() {
  // A GPU that failed says so at its next use; a destructor must not throw.
  try {
    if (stage_fence()) stage_fence()();
  } catch (const std::exception&) {
    return;
  }
  const Trace::Clock::time_point end = Trace::Clock::now();
  timings_[stage_] += std::chrono::duration<double>(end - start_).count();
  Trace::record(stage_, detail_, start_, end);
}

double StageTimer::seconds() const {
  return std::chrono::duration<double>(Trace::Clock::now() - start_).count();
}

}  // namespace sgpt_mi::walk

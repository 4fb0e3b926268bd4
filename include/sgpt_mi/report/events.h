#pragma once

#include <cstdint>
#include <string>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {

/// What a run tells while it works; the program shows it, a test may count it, and this class
/// itself keeps it silent. All methods are called from the thread that runs the pipeline.
class Events {
 public:
  virtual ~Events() = default;

  /// A line of the plan, before the work starts.
  virtual void plan(const std::string& /*line*/) {}
  /// A stage begins; `units` of progress() will follow.
  virtual void stage(const std::string& /*name*/, std::int64_t /*units*/) {}
  /// `done` of the current stage's units are finished.
  virtual void progress(std::int64_t /*done*/) {}
  /// A linear was compressed.
  virtual void layer(const LayerReport& /*layer*/) {}
  /// A linear was taken from what a process before this one had compressed.
  virtual void restored(const LayerReport& /*layer*/) {}
  /// Something the user should know of.
  virtual void warning(const std::string& /*text*/) {}
  /// A result worth a line at once (a dense perplexity).
  virtual void result(const std::string& /*line*/) {}
};

}  // namespace sgpt_mi::report

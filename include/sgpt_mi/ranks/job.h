#pragma once

#include <functional>
#include <memory>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::ranks {

/// The life of one run's ranks, from main's first line to its last. One in a process.
///
/// A process that no launcher of MPI started is alone, and MPI is not touched. A rank that fails
/// tells rank 0, which shows the error once and ends all; a rank from which nothing comes for
/// SGPT_MI_RANK_TIMEOUT seconds (by default 1,800) ends the run by name.
class Job {
 public:
  /// Joins the ranks that were started together.
  /// Throws Error(kUsage) when there are several and this program was built without MPI.
  Job();
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] const World& world() const { return world_; }

  /// Waits until all ranks have come here without an error.
  void finish();

  /// Ends all ranks because of an error of this one, which `show` shows if this is rank 0 or
  /// rank 0 does not answer. Returns when the process is alone, or does not.
  void fail(const Error& error, const std::function<void(const Error&)>& show);

 private:
  std::shared_ptr<Transport> transport_;  // null: not started by MPI
  World world_;
};

}  // namespace sgpt_mi::ranks

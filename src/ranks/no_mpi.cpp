#include "launch.h"
#include "sgpt_mi/ranks/job.h"

namespace sgpt_mi::ranks {

Job::Job() {
  require_one_task(
      "this program was built without MPI: install OpenMPI's development files and build again "
      "(SGPT_MI_MPI=ON scripts/setup)");
}

Job::~Job() = default;

void Job::finish() {}

void Job::fail(const Error& error, const std::function<void(const Error&)>& show) { show(error); }

}  // namespace sgpt_mi::ranks

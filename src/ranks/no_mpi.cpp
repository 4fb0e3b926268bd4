#include <cstdlib>
#include <string>

#include "sgpt_mi/ranks/job.h"

namespace sgpt_mi::ranks {

Job::Job() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* size = std::getenv(name);
    if (size == nullptr || std::string(size) == "1") continue;
    sgpt_mi::fail(ErrorKind::kUsage,
                  "ranks: started as one of {} ranks, but this program was built without MPI; "
                  "install OpenMPI's development files and build again (-DSGPT_MI_MPI=ON)",
                  size);
  }
}

Job::~Job() = default;

void Job::finish() {}

void Job::fail(const Error& error, const std::function<void(const Error&)>& show) { show(error); }

}  // namespace sgpt_mi::ranks

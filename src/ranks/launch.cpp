#include "launch.h"

#include <cstdlib>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::ranks {

void require_one_task(const std::string& advice) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* text = std::getenv(name);
    const auto tasks = text == nullptr ? std::nullopt : whole_number<int>(text);
    if (!tasks || *tasks <= 1) continue;
    fail(ErrorKind::kUsage,
         "ranks: started as one of {} processes ({}) that do not know each other; {}", *tasks, name,
         advice);
  }
}

}  // namespace sgpt_mi::ranks

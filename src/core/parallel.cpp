#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi {

ParallelFor serial_for() {
  return [](std::int64_t count, std::int64_t /*grain*/,
            const std::function<void(std::int64_t, std::int64_t)>& body) {
    if (count > 0) body(0, count);
  };
}

}  // namespace sgpt_mi

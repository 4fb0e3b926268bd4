#pragma once

#include <cstdint>
#include <functional>

namespace sgpt_mi {

/// Runs body(begin, end) over disjoint ranges that cover [0, count), each at least `grain` long
/// unless it is the last, possibly at the same time on several threads.
///
/// Numeric rooms without torch take one of these from their caller, so that the whole program
/// shares the one thread pool that LibTorch owns and never oversubscribes the machine.
using ParallelFor =
    std::function<void(std::int64_t count, std::int64_t grain,
                       const std::function<void(std::int64_t begin, std::int64_t end)>& body)>;

/// A ParallelFor that runs everything on the calling thread.
[[nodiscard]] inline ParallelFor serial_for() {
  return [](std::int64_t count, std::int64_t /*grain*/,
            const std::function<void(std::int64_t, std::int64_t)>& body) {
    if (count > 0) body(0, count);
  };
}

}  // namespace sgpt_mi

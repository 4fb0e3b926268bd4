#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::test {

/// A ParallelFor on `threads` real threads, each with one contiguous range.
inline ParallelFor threaded_for(std::int64_t threads) {
  return [threads](std::int64_t count, std::int64_t grain,
                   const std::function<void(std::int64_t, std::int64_t)>& body) {
    const std::int64_t share = std::max(grain, (count + threads - 1) / threads);
    std::vector<std::thread> running;
    for (std::int64_t begin = 0; begin < count; begin += share) {
      running.emplace_back(body, begin, std::min(begin + share, count));
    }
    for (std::thread& thread : running) thread.join();
  };
}

}  // namespace sgpt_mi::test

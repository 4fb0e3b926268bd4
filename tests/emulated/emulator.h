#pragma once

#include <array>
#include <cstdint>

// What tests see of the emulated device.
namespace emulated {

/// In which order the threads of a block take turns. A kernel that needs a barrier where it has
/// none gives other results in one of the two.
enum class Turns : std::uint8_t { kAscending, kDescending };
void set_turns(Turns turns);

/// What has run since the last reset_counts().
struct Counts {
  std::int64_t launches = 0;
  std::array<std::int64_t, 4> launches_on{};  ///< of them, by the device that was current
  std::int64_t blocks = 0;
  std::int64_t threads = 0;
  std::int64_t warp_meetings = 0;   ///< __syncwarp, shuffles and ballots, once per warp
  std::int64_t block_meetings = 0;  ///< __syncthreads, once per block
  std::int64_t copied_bytes = 0;    ///< between host and device
};
[[nodiscard]] Counts counts();
void reset_counts();

}  // namespace emulated

#include "emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "fiber_switch.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace {

constexpr std::size_t kLargestShared = 227 * 1024;  // of compute capability 9.0
constexpr std::size_t kSharedGuard = 1024;
constexpr int kGuardByte = 0x5a;

}  // namespace

namespace sgpt_mi::kernels::cuda {

/// What shared_memory() of cuda/launch.cuh returns.
extern double block_shared_memory[];
alignas(16) double block_shared_memory[(kLargestShared + kSharedGuard) / sizeof(double)];

}  // namespace sgpt_mi::kernels::cuda

namespace emulated {
namespace {

using sgpt_mi::kernels::cuda::block_shared_memory;

constexpr std::size_t kStackBytes = 256 * 1024;
constexpr unsigned kMostThreads = 1024;
constexpr int kWarpLanes = 32;

enum class State : std::uint8_t { kReady, kAtWarp, kAtBlock, kFinished };

/// One thread of a block: a stack of its own that keeps its place between turns.
struct Thread {
  Fiber fiber;
  uint3 index;
  State state = State::kReady;
  const char* waits_at = "";
  unsigned mask = 0;
  std::uint64_t brought = 0;
  Lanes received{};
};

/// The device: one block at a time.
struct Device {
  std::vector<std::unique_ptr<Thread>> threads;  // as many as the largest block so far
  std::size_t running = 0;                       // of the block
  std::size_t turn = 0;                          // whose turn it is
  Fiber scheduler;
  const std::function<void()>* body = nullptr;
  std::exception_ptr thrown;
  Turns turns = Turns::kAscending;
  Counts counts;
  std::map<const void*, std::size_t> allowed_shared;
};

Device device;
int current_device = 0;  // of cudaSetDevice: all devices are the one above

Thread& current() { return *device.threads[device.turn]; }

/// What each fiber runs.
void run_thread() {
  current().fiber.arrive();
  try {
    (*device.body)();
  } catch (...) {
    device.thrown = std::current_exception();
  }
  current().state = State::kFinished;
  current().fiber.leave_for(device.scheduler);
}

void wait(State state, const char* name) {
  Thread& thread = current();
  thread.state = state;
  thread.waits_at = name;
  thread.fiber.switch_to(device.scheduler);
}

std::string place_of(const Thread& thread) {
  const std::string name = "thread " + std::to_string(thread.index.x);
  if (thread.state == State::kFinished) return name + " has finished";
  return name + " waits at " + thread.waits_at + " with mask " + std::to_string(thread.mask);
}

[[noreturn]] void fail_stuck() {
  const auto stuck = std::find_if(device.threads.begin(), device.threads.end(),
                                  [](const auto& t) { return t->state != State::kFinished; });
  const auto other =
      std::find_if(stuck, device.threads.begin() + static_cast<std::ptrdiff_t>(device.running),
                   [&](const auto& t) {
                     return t->state != (*stuck)->state || t->mask != (*stuck)->mask ||
                            t->waits_at != (*stuck)->waits_at;
                   });
  std::string text =
      "emulated CUDA: block " + std::to_string(blockIdx.x) + " is stuck: " + place_of(**stuck);
  if (other != device.threads.begin() + static_cast<std::ptrdiff_t>(device.running)) {
    text += ", " + place_of(**other);
  }
  throw std::logic_error(text);
}

/// Lets the lanes of one warp go on whose partners have all arrived. Returns whether any did.
bool release_warp(std::size_t first) {
  const std::size_t end = std::min(first + kWarpLanes, device.running);
  bool released = false;
  for (std::size_t t = first; t < end; ++t) {
    const Thread& leader = *device.threads[t];
    if (leader.state != State::kAtWarp) continue;
    const unsigned mask = leader.mask;
    Lanes lanes{};
    bool complete = true;
    for (std::size_t i = first; i < end; ++i) {
      const Thread& lane = *device.threads[i];
      if ((mask >> (i - first) & 1U) == 0 || lane.state == State::kFinished) continue;
      complete = complete && lane.state == State::kAtWarp && lane.mask == mask &&
                 std::strcmp(lane.waits_at, leader.waits_at) == 0;
      lanes.present |= 1U << (i - first);
      lanes.value[i - first] = lane.brought;
    }
    if (!complete) continue;
    for (std::size_t i = first; i < end; ++i) {
      if ((lanes.present >> (i - first) & 1U) == 0) continue;
      device.threads[i]->received = lanes;
      device.threads[i]->state = State::kReady;
    }
    ++device.counts.warp_meetings;
    released = true;
  }
  return released;
}

/// Lets all threads go on when every one that has not finished is at __syncthreads.
bool release_block() {
  bool any = false;
  for (std::size_t t = 0; t < device.running; ++t) {
    const State state = device.threads[t]->state;
    if (state == State::kAtWarp || state == State::kReady) return false;
    any = any || state == State::kAtBlock;
  }
  if (!any) return false;
  for (std::size_t t = 0; t < device.running; ++t) {
    Thread& thread = *device.threads[t];
    if (thread.state == State::kAtBlock) thread.state = State::kReady;
  }
  ++device.counts.block_meetings;
  return true;
}

/// One turn for every thread of a warp that can go on, and again while the warp's lanes meet.
bool run_warp(std::size_t first) {
  const std::size_t end = std::min(first + kWarpLanes, device.running);
  bool ran = false;
  do {
    for (std::size_t i = first; i < end; ++i) {
      device.turn = device.turns == Turns::kAscending ? i : first + (end - 1 - i);
      if (current().state != State::kReady) continue;
      threadIdx = current().index;
      device.scheduler.switch_to(current().fiber);
      if (device.thrown) std::rethrow_exception(std::exchange(device.thrown, nullptr));
      ran = true;
    }
  } while (release_warp(first));
  return ran;
}

bool all_finished() {
  return std::all_of(device.threads.begin(),
                     device.threads.begin() + static_cast<std::ptrdiff_t>(device.running),
                     [](const auto& thread) { return thread->state == State::kFinished; });
}

/// Fresh shared memory: not a number, with a guard behind it.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) : guard_(bytes_of() + bytes) {
    std::memset(bytes_of(), 0xff, bytes);
    std::memset(guard_, kGuardByte, kSharedGuard);
    poison(guard_, kSharedGuard);
  }
  ~SharedMemory() { unpoison(guard_, kSharedGuard); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void check() const {
    unpoison(guard_, kSharedGuard);
    if (!std::all_of(guard_, guard_ + kSharedGuard, [](char c) { return c == kGuardByte; })) {
      throw std::logic_error("emulated CUDA: a kernel wrote behind its shared memory");
    }
  }

 private:
  static char* bytes_of() { return reinterpret_cast<char*>(block_shared_memory); }

  char* guard_;
};

void run_block(std::size_t shared_bytes) {
  const SharedMemory shared(shared_bytes);
  while (device.threads.size() < device.running) {
    device.threads.push_back(std::make_unique<Thread>());
  }
  for (std::size_t t = 0; t < device.running; ++t) {
    Thread& thread = *device.threads[t];
    thread.fiber.start(kStackBytes, run_thread);
    thread.index = uint3{static_cast<unsigned>(t), 0, 0};
    thread.state = State::kReady;
  }
  while (!all_finished()) {
    bool ran = false;
    const std::size_t warps = (device.running + kWarpLanes - 1) / kWarpLanes;
    for (std::size_t w = 0; w < warps; ++w) {
      const std::size_t warp = device.turns == Turns::kAscending ? w : warps - 1 - w;
      ran = run_warp(warp * kWarpLanes) || ran;
    }
    if (!ran && !release_block()) fail_stuck();
  }
  shared.check();
}

}  // namespace

void set_turns(Turns turns) { device.turns = turns; }

Counts counts() { return device.counts; }

void reset_counts() { device.counts = {}; }

cudaError_t allow_shared_bytes(const void* kernel, int bytes) {
  if (bytes < 0 || static_cast<std::size_t>(bytes) > kLargestShared) return cudaErrorInvalidValue;
  device.allowed_shared[kernel] = static_cast<std::size_t>(bytes);
  return cudaSuccess;
}

cudaError_t run(const cudaLaunchConfig_t& config, const void* kernel,
                const std::function<void()>& thread) {
  const auto allowed = device.allowed_shared.find(kernel);
  const std::size_t most_shared =
      allowed != device.allowed_shared.end() ? allowed->second : std::size_t{48} * 1024;
  const bool one_dimension =
      config.blockDim.y * config.blockDim.z * config.gridDim.y * config.gridDim.z == 1;
  const bool possible = one_dimension && config.gridDim.x > 0 && config.blockDim.x > 0 &&
                        config.gridDim.x <= 0x7fffffffU && config.blockDim.x <= kMostThreads;
  if (!possible) return cudaErrorInvalidConfiguration;
  if (config.dynamicSmemBytes > most_shared) return cudaErrorInvalidValue;
  device.body = &thread;
  device.running = config.blockDim.x;
  blockDim = config.blockDim;
  gridDim = config.gridDim;
  for (unsigned block = 0; block < gridDim.x; ++block) {
    blockIdx = uint3{block, 0, 0};
    run_block(config.dynamicSmemBytes);
  }
  ++device.counts.launches;
  ++device.counts.launches_on[static_cast<std::size_t>(current_device)];
  device.counts.blocks += gridDim.x;
  device.counts.threads += static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  return cudaSuccess;
}

int lane() { return static_cast<int>(threadIdx.x) % kWarpLanes; }

const Lanes& meet(const char* name, unsigned mask, std::uint64_t value) {
  if ((mask >> lane() & 1U) == 0) {
    throw std::logic_error(std::string("emulated CUDA: a lane outside its own mask calls ") + name);
  }
  Thread& thread = current();
  thread.mask = mask;
  thread.brought = value;
  wait(State::kAtWarp, name);
  return thread.received;
}

void meet_block() {
  current().mask = 0;
  wait(State::kAtBlock, "__syncthreads");
}

std::uint64_t value_of(const Lanes& lanes, const char* name, int from) {
  if (from < 0 || from >= kWarpLanes || (lanes.present >> from & 1U) == 0) {
    throw std::logic_error(std::string("emulated CUDA: ") + name + " reads lane " +
                           std::to_string(from) + ", which takes no part");
  }
  return lanes.value[from];
}

}  // namespace emulated

// --- runtime
// --------------------------------------------------------------------------------------

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t /*status*/) { return "refused by the emulator"; }

cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaGetDevice(int* index) {
  *index = emulated::current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
  const auto count = static_cast<int>(emulated::Counts{}.launches_on.size());
  if (index < 0 || index >= count) return cudaErrorInvalidDevice;
  emulated::current_device = index;
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t /*stream*/) {
  *data = bytes > 0 ? std::malloc(bytes) : nullptr;
  if (*data != nullptr) std::memset(*data, 0xff, bytes);
  return bytes == 0 || *data != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t /*stream*/) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t /*stream*/) {
  std::memset(data, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t /*stream*/) {
  std::memcpy(to, from, bytes);
  if (kind != cudaMemcpyDeviceToDevice) {
    emulated::device.counts.copied_bytes += static_cast<std::int64_t>(bytes);
  }
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t /*stream*/) { return cudaSuccess; }

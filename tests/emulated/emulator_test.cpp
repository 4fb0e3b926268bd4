#include "emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "launch.cuh"

// The emulated device itself: what a real one does, and that it names a kernel's mistakes.
namespace sgpt_mi::kernels::cuda {
namespace {

using testing::HasSubstr;

void sum_lanes(const int* values, int* sums) {
  const std::int64_t thread = warp_index() * kWarp + lane_index();
  int sum = values[thread];
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(kAllLanes, sum, offset);
  sums[thread] = sum;
}

TEST(Emulator, EveryLaneGetsTheSumOfItsWarp) {
  std::vector<int> values(2 * 96);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
  std::vector<int> sums(values.size());
  emulated::reset_counts();
  launch(sum_lanes, "sum", {2, 96, 0}, nullptr, values.data(), sums.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int first = static_cast<int>(i / 32 * 32);
    EXPECT_EQ(sums[i], 32 * first + 31 * 32 / 2);
  }
  const emulated::Counts counts = emulated::counts();
  EXPECT_EQ(counts.launches, 1);
  EXPECT_EQ(counts.blocks, 2);
  EXPECT_EQ(counts.threads, 192);
  EXPECT_EQ(counts.warp_meetings, 6 * 5);
}

void shift_lanes(unsigned* out) {
  const auto lane = static_cast<unsigned>(lane_index());
  out[lane] = __shfl_up_sync(kAllLanes, lane, 3);
  out[32 + lane] = __shfl_down_sync(kAllLanes, lane, 3);
  out[64 + lane] = __shfl_sync(kAllLanes, lane, 5);
  out[96 + lane] = __ballot_sync(kAllLanes, lane % 2 == 0 ? 1 : 0);
}

TEST(Emulator, ShufflesAndBallots) {
  std::vector<unsigned> out(128);
  launch(shift_lanes, "shift", {1, 32, 0}, nullptr, out.data());
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane], lane < 3 ? lane : lane - 3);
    EXPECT_EQ(out[32 + lane], lane > 28 ? lane : lane + 3);
    EXPECT_EQ(out[64 + lane], 5U);
    EXPECT_EQ(out[96 + lane], 0x55555555U);
  }
}

void reverse_block(int* values) {
  int* shared = shared_memory<int>();
  const auto i = static_cast<int>(threadIdx.x);
  const auto n = static_cast<int>(blockDim.x);
  shared[i] = values[i];
  __syncthreads();
  values[i] = shared[n - 1 - i];
}

void reverse_without_barrier(int* values) {
  int* shared = shared_memory<int>();
  const auto i = static_cast<int>(threadIdx.x);
  const auto n = static_cast<int>(blockDim.x);
  shared[i] = values[i];
  values[i] = shared[n - 1 - i];
}

std::vector<int> reversed(void (*kernel)(int*), emulated::Turns turns) {
  std::vector<int> values(70);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i);
  emulated::set_turns(turns);
  launch(kernel, "reverse", {1, 70, 70 * sizeof(int)}, nullptr, values.data());
  emulated::set_turns(emulated::Turns::kAscending);
  return values;
}

TEST(Emulator, AMissingBarrierShowsInTheOrderOfTurns) {
  for (const auto turns : {emulated::Turns::kAscending, emulated::Turns::kDescending}) {
    const std::vector<int> values = reversed(reverse_block, turns);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], 69 - static_cast<int>(i));
  }
  EXPECT_NE(reversed(reverse_without_barrier, emulated::Turns::kAscending),
            reversed(reverse_without_barrier, emulated::Turns::kDescending));
}

void one_lane_waits_for_its_warp(int* /*unused*/) {
  if (threadIdx.x == 40) __syncwarp();
  __syncthreads();
}

std::string text_of(void (*kernel)(int*), LaunchShape shape) {
  int value = 0;
  try {
    launch(kernel, "bad", shape, nullptr, &value);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(Emulator, NamesThreadsThatWaitForEachOther) {
  EXPECT_THAT(
      text_of(one_lane_waits_for_its_warp, {1, 64, 0}),
      testing::AllOf(HasSubstr("is stuck"), HasSubstr("__syncthreads"), HasSubstr("__syncwarp")));
}

void read_a_lane_that_left(int* out) {
  if (lane_index() == 7) return;
  *out = __shfl_sync(kAllLanes, 1, 7);
}

void call_outside_the_mask(int* out) { *out = __shfl_sync(0xffU, 1, 0); }

void write_behind_shared_memory(int* /*unused*/) {
  // 16 bytes behind: the sanitizer's build stops at a read or write there by itself.
  shared_memory<int>()[threadIdx.x + 36] = 1;
}

TEST(Emulator, NamesMisusedLanes) {
  EXPECT_THAT(text_of(read_a_lane_that_left, {1, 32, 0}), HasSubstr("lane 7"));
  EXPECT_THAT(text_of(call_outside_the_mask, {1, 32, 0}), HasSubstr("outside its own mask"));
}

#ifndef __SANITIZE_ADDRESS__
TEST(Emulator, FindsWritesBehindSharedMemory) {
  EXPECT_THAT(text_of(write_behind_shared_memory, {1, 32, 128}), HasSubstr("shared memory"));
}
#else
TEST(EmulatorDeathTest, FindsWritesBehindSharedMemory) {
  EXPECT_DEATH(text_of(write_behind_shared_memory, {1, 32, 128}), "use-after-poison");
}
#endif

TEST(Emulator, RefusesLaunchesThatADeviceRefuses) {
  EXPECT_THAT(text_of(reverse_block, {0, 32, 0}), HasSubstr("cudaErrorInvalidConfiguration"));
  EXPECT_THAT(text_of(reverse_block, {1, 1025, 0}), HasSubstr("cudaErrorInvalidConfiguration"));
  EXPECT_THAT(text_of(reverse_block, {1, 32, kSharedBytes + 1}), HasSubstr("bad failed"));
}

void throw_in_kernel(int* /*unused*/) { throw std::runtime_error("from the kernel"); }

TEST(Emulator, GoesOnAfterAFailure) {
  EXPECT_EQ(text_of(throw_in_kernel, {1, 32, 0}), "from the kernel");
  EXPECT_EQ(text_of(call_outside_the_mask, {1, 8, 0}), "no error");
}

}  // namespace
}  // namespace sgpt_mi::kernels::cuda

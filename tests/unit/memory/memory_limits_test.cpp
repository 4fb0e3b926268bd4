#include "sgpt_mi/memory/memory_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::memory {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(MemoryLimits, ReadsWhatTheSystemHasAvailable) {
  EXPECT_EQ(parse_available("MemTotal:  100 kB\nMemFree:  1 kB\nMemAvailable:     42 kB\n"),
            42 * 1024);
  EXPECT_EQ(parse_available("MemTotal:  100 kB\n"), std::nullopt);
  EXPECT_GT(available_host_bytes().value(), 0);
  EXPECT_GT(resident_bytes(), 1'000'000);
  EXPECT_GE(peak_resident_bytes() + 1'000'000, resident_bytes());  // counted in other steps
}

TEST(MemoryLimits, TakesTheTightestUnifiedGroup) {
  const TemporaryFolder folder;
  const auto& mount = folder.path();
  write(mount / "memory.max", "max\n");
  write(mount / "memory.current", "900\n");
  write(mount / "job" / "memory.max", "1000\n");
  write(mount / "job" / "memory.current", "700\n");
  write(mount / "job" / "memory.stat", "anon 5\nactive_file 30\ninactive_file 20\n");
  write(mount / "job" / "step" / "memory.max", "2000\n");
  write(mount / "job" / "step" / "memory.current", "600\n");
  EXPECT_EQ(control_group_room(mount, "0::/job/step\n"), 1000 - 700 + 50);
  EXPECT_EQ(control_group_room(mount, "0::/\n"), std::nullopt);
  // In a container the group's own path may not be mounted.
  write(mount / "memory.max", "5000\n");
  EXPECT_EQ(control_group_room(mount, "0::/somewhere/else\n"), 5000 - 900);
}

TEST(MemoryLimits, TakesTheOldMemoryControllerToo) {
  const TemporaryFolder folder;
  const auto group = folder.path() / "memory" / "a";
  write(folder.path() / "memory" / "memory.limit_in_bytes", "9223372036854771712\n");
  write(folder.path() / "memory" / "memory.usage_in_bytes", "10\n");
  write(group / "memory.limit_in_bytes", "4000\n");
  write(group / "memory.usage_in_bytes", "3500\n");
  write(group / "memory.stat", "total_active_file 100\ntotal_inactive_file 200\n");
  const std::string membership = "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n";
  EXPECT_EQ(control_group_room(folder.path(), membership), 800);
  EXPECT_EQ(control_group_room(folder.path(), "5:cpu:/a\n"), std::nullopt);
  write(group / "memory.usage_in_bytes", "9999\n");
  EXPECT_EQ(control_group_room(folder.path(), membership), 0);
}

TEST(MemoryCap, NamesPlacesOrTheOneThatComputes) {
  EXPECT_EQ(parse_memory_cap("4GiB").compute, 4 * kGiB);
  EXPECT_FALSE(parse_memory_cap("").compute.has_value());
  const MemoryCap both = parse_memory_cap("cuda:20GiB,host:64GiB");
  EXPECT_EQ(both.device, 20 * kGiB);
  EXPECT_EQ(both.host, 64 * kGiB);
  EXPECT_FALSE(both.compute.has_value());
  EXPECT_EQ(parse_memory_cap("cpu:1GiB").host, kGiB);
}

TEST(MemoryCap, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"much", "gpu:1GiB", "1GiB,2GiB", "host:1GiB,cpu:1GiB", ":1GiB", "1GiB,",
                           "0", "cuda:", "-1"}) {
    EXPECT_NE(error_of(ErrorKind::kUsage, [&] { static_cast<void>(parse_memory_cap(text)); }), "")
        << text;
  }
}

TEST(MemoryLimits, ACapIsOfTheDeviceThatComputes) {
  const MemoryLimits cpu = memory_limits(parse_memory_cap("3GiB"), torch::kCPU);
  EXPECT_EQ(cpu.host.bytes, 3 * kGiB);
  EXPECT_TRUE(cpu.host.asked_for);
  const MemoryLimits gpu = memory_limits(parse_memory_cap("3GiB"), {torch::kCUDA, 63});
  EXPECT_EQ(gpu.device.bytes, 3 * kGiB);
  EXPECT_FALSE(gpu.host.asked_for);
  const MemoryLimits open = memory_limits({}, {torch::kCUDA, 63});
  EXPECT_FALSE(open.device.bytes.has_value()) << "no such device is here";
  EXPECT_GT(open.host.bytes.value(), 0);
  const auto refused = [] {
    static_cast<void>(memory_limits(parse_memory_cap("cuda:3GiB"), torch::kCPU));
  };
  EXPECT_THAT(error_of(ErrorKind::kUsage, refused), HasSubstr("host:SIZE"));
}

}  // namespace
}  // namespace sgpt_mi::memory

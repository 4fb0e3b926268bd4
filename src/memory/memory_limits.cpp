#include "sgpt_mi/memory/memory_limits.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::memory {
namespace {

namespace fs = std::filesystem;

/// A small file of the system; empty when there is none.
std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The number after `name` at the start of a line.
std::optional<std::int64_t> number_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name, 0) != 0) continue;
    std::istringstream rest(line.substr(name.size()));
    std::int64_t value = 0;
    if (rest >> value) return value;
  }
  return std::nullopt;
}

std::optional<std::int64_t> least(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

/// Names of the files of one kind of control group.
struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* active_file;  // lines of memory.stat: file cache, which the system drops on demand
  const char* inactive_file;
};
constexpr GroupFiles kUnified{"memory.max", "memory.current", "active_file ", "inactive_file "};
constexpr GroupFiles kLegacy{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file ",
                             "total_inactive_file "};

/// What one group leaves. "max" is no number; the old kind writes a huge one for no limit.
std::optional<std::int64_t> room_of(const fs::path& group, const GroupFiles& files) {
  constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;
  const std::optional<std::int64_t> limit = number_of(text_of(group / files.limit), "");
  const std::optional<std::int64_t> usage = number_of(text_of(group / files.usage), "");
  if (!limit || !usage || *limit >= kNoLimit) return std::nullopt;
  const std::string stat = text_of(group / "memory.stat");
  const std::int64_t cache = number_of(stat, files.active_file).value_or(0) +
                             number_of(stat, files.inactive_file).value_or(0);
  return std::max<std::int64_t>(0, *limit - *usage + cache);
}

std::optional<std::int64_t> room_up_to(const fs::path& base, const std::string& path,
                                       const GroupFiles& files) {
  std::optional<std::int64_t> room = room_of(base, files);
  fs::path group = base;
  for (const fs::path& part : fs::path(path).relative_path()) {
    group /= part;
    room = least(room, room_of(group, files));
  }
  return room;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::optional<std::int64_t> free_device_bytes(torch::Device device) {
  if (torch::cuda::device_count() <= device.index()) return std::nullopt;
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  const auto free = static_cast<std::int64_t>(allocator->getMemoryInfo(device.index()).first);
  const auto stats = allocator->getDeviceStats(device.index());
  // What the allocator has reserved and does not use is as good as free.
  return free + stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
}

}  // namespace

std::optional<std::int64_t> parse_available(const std::string& meminfo) {
  const std::optional<std::int64_t> kibibytes = number_of(meminfo, "MemAvailable:");
  if (!kibibytes) return std::nullopt;
  return *kibibytes * 1024;
}

std::optional<std::int64_t> control_group_room(const fs::path& mount,
                                               const std::string& membership) {
  std::optional<std::int64_t> room;
  for (const std::string& line : split(membership, '\n')) {
    const std::vector<std::string> fields = split(line, ':');  // hierarchy:controllers:path
    if (fields.size() < 3) continue;
    const std::vector<std::string> controllers = split(fields[1], ',');
    if (controllers.empty()) {
      room = least(room, room_up_to(mount, fields[2], kUnified));
    } else if (std::count(controllers.begin(), controllers.end(), "memory") > 0) {
      room = least(room, room_up_to(mount / "memory", fields[2], kLegacy));
    }
  }
  return room;
}

std::optional<std::int64_t> available_host_bytes() {
  return least(parse_available(text_of("/proc/meminfo")),
               control_group_room("/sys/fs/cgroup", text_of("/proc/self/cgroup")));
}

std::int64_t resident_bytes() {
  std::istringstream fields(text_of("/proc/self/statm"));
  std::int64_t total = 0;
  std::int64_t resident = 0;
  fields >> total >> resident;
  return resident * static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
}

std::int64_t peak_resident_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts kilobytes
}

std::int64_t peak_device_bytes() {
  if (!torch::cuda::is_available()) return 0;
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(c10::DeviceType::CUDA);
  if (!allocator->initialized()) return 0;
  std::int64_t most = 0;
  const c10::DeviceIndex count = torch::cuda::device_count();
  for (c10::DeviceIndex device = 0; device < count; ++device) {
    most = std::max(most, allocator->getDeviceStats(device).reserved_bytes[0].peak);
  }
  return most;
}

MemoryCap parse_memory_cap(const std::string& text) {
  MemoryCap cap;
  if (text.empty()) return cap;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t colon = part.find(':');
    const std::string place = colon == std::string::npos ? "" : part.substr(0, colon);
    const bool known = place.empty() || place == "cuda" || place == "host" || place == "cpu";
    std::optional<std::int64_t>& target =
        place.empty() ? cap.compute : (place == "cuda" ? cap.device : cap.host);
    if (!known || target || (place.empty() && colon == 0)) {
      fail(ErrorKind::kUsage,
           "max_memory: '{}' is neither SIZE nor cuda:SIZE,host:SIZE, such as 20GiB", text);
    }
    target = parse_bytes(part.substr(colon == std::string::npos ? 0 : colon + 1));
    if (*target < 1) fail(ErrorKind::kUsage, "max_memory: '{}' allows nothing", text);
    begin = end + 1;
  }
  return cap;
}

MemoryLimits memory_limits(const MemoryCap& cap, torch::Device device) {
  const bool on_gpu = device.is_cuda();
  if (!on_gpu && cap.device) {
    fail(ErrorKind::kUsage,
         "max_memory: it caps a GPU, and the run computes on the CPU; give host:SIZE, or --device "
         "cuda");
  }
  MemoryLimits limits;
  const std::optional<std::int64_t> host = on_gpu || cap.host ? cap.host : cap.compute;
  const std::optional<std::int64_t> gpu = cap.device ? cap.device : cap.compute;
  limits.host = {host, host.has_value()};
  if (!host) {
    if (const auto available = available_host_bytes()) {
      limits.host.bytes = *available + resident_bytes();
    }
  }
  if (!on_gpu) return limits;
  limits.device = {gpu, gpu.has_value()};
  if (!gpu) limits.device.bytes = free_device_bytes(device);
  return limits;
}

}  // namespace sgpt_mi::memory

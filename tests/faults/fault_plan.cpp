#include "fault_plan.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace faults {
namespace {

/// The file of counts: calls of each kind, then the first call that was made to fail, as text.
struct Counts {
  std::array<std::atomic<std::uint64_t>, kKinds> calls;
  std::array<char, 512> failed;
};

struct Plan {
  Kind kind = kKinds;
  std::uint64_t at = 0;
  bool onwards = false;
  Action action = Action::kNone;
  int error = 0;
};

constexpr std::size_t kLargeBytes = std::size_t{1} << 20;
constexpr std::size_t kDescriptors = 4096;

Counts* g_counts = nullptr;
Plan g_plan;
std::atomic<bool> g_in_main{false};
std::array<std::array<char, PATH_MAX>, 2> g_folders{};  // of kWrite and kRead; "" for none
std::array<std::array<std::atomic<bool>, kDescriptors>, 2> g_below{};

void read_plan() {
  const char* text = std::getenv("SGPT_MI_FAULT");
  if (text == nullptr) return;
  std::array<char, 16> kind{};
  std::array<char, 16> action{};
  unsigned long long at = 0;
  if (std::sscanf(text, "%15[a-z]:%llu:%15[A-Za-z]", kind.data(), &at, action.data()) != 3) {
    std::abort();
  }
  const auto is = [](const std::array<char, 16>& word, const char* other) {
    return std::strcmp(word.data(), other) == 0;
  };
  g_plan.kind = is(kind, "write") ? kWrite : is(kind, "read") ? kRead : kAlloc;
  g_plan.at = at;
  g_plan.onwards = text[std::strlen(text) - 1] == '+';
  g_plan.action = is(action, "short")  ? Action::kShort
                  : is(action, "kill") ? Action::kKill
                  : is(action, "tear") ? Action::kTear
                  : is(action, "cut")  ? Action::kCut
                                       : Action::kError;
  g_plan.error = is(action, "ENOSPC") ? ENOSPC : is(action, "EIO") ? EIO : ENOMEM;
}

void open_counts() {
  const char* path = std::getenv("SGPT_MI_FAULT_COUNTS");
  if (path == nullptr) return;
  const int file = NEXT(open)(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0 || NEXT(ftruncate)(file, sizeof(Counts)) != 0) std::abort();
  void* memory = NEXT(mmap)(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) std::abort();
  g_counts = static_cast<Counts*>(memory);
  NEXT(close)(file);
}

void read_folder(Kind kind, const char* variable) {
  const char* folder = std::getenv(variable);
  if (folder != nullptr && ::realpath(folder, g_folders[kind].data()) == nullptr) std::abort();
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

/// Counts a call, and says what is to become of it.
Action count(Kind kind, const char* call, const char* path, bool removes = false) {
  if (g_counts == nullptr || !g_in_main) return Action::kNone;
  const std::uint64_t number = ++g_counts->calls[kind];
  const bool due =
      kind == g_plan.kind && (number == g_plan.at || (g_plan.onwards && number > g_plan.at));
  if (!due) return Action::kNone;
  const bool kills = g_plan.action == Action::kKill || g_plan.action == Action::kTear;
  if (removes && !kills) return Action::kNone;
  if (g_counts->failed[0] == '\0') {
    std::snprintf(g_counts->failed.data(), g_counts->failed.size(), "%s %s", call, path);
  }
  if (g_plan.action == Action::kKill) die();
  errno = g_plan.error;
  return g_plan.action;
}

bool is_below(const char* path, Kind kind) {
  const char* folder = g_folders[kind].data();
  const std::size_t length = std::strlen(folder);
  return length > 0 && std::strncmp(path, folder, length) == 0 &&
         (path[length] == '/' || path[length] == '\0');
}

/// An absolute path of `path`, which may be relative to a folder that is open.
const char* absolute(int folder, const char* path, std::array<char, 2 * PATH_MAX>& out) {
  if (path[0] == '/') return path;
  std::array<char, PATH_MAX> base{};
  if (folder == AT_FDCWD) {
    if (::getcwd(base.data(), base.size()) == nullptr) return path;
  } else {
    std::array<char, 32> link{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", folder);
    if (::readlink(link.data(), base.data(), base.size() - 1) < 0) return path;
  }
  std::snprintf(out.data(), out.size(), "%s/%s", base.data(), path);
  return out.data();
}

bool is_open_below(int file, Kind kind) {
  return file >= 0 && file < static_cast<int>(kDescriptors) &&
         g_below[kind][static_cast<std::size_t>(file)];
}

/// Whether this process is the one that is to fail, of those that mpirun started.
bool is_chosen() {
  const char* chosen = std::getenv("SGPT_MI_FAULT_RANK");
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return chosen == nullptr || (rank != nullptr && std::strcmp(chosen, rank) == 0);
}

__attribute__((constructor)) void start() {
  if (!is_chosen()) return;
  read_plan();
  read_folder(kWrite, "SGPT_MI_FAULT_WRITES");
  read_folder(kRead, "SGPT_MI_FAULT_READS");
  open_counts();
}

}  // namespace

void set_in_main(bool in_main) { g_in_main = in_main; }

bool is_planned(Action action) { return g_plan.action == action; }

void forget(int file) {
  if (file < 0 || file >= static_cast<int>(kDescriptors)) return;
  for (auto& folder : g_below) folder[static_cast<std::size_t>(file)] = false;
}

void not_failed() { g_counts->failed[0] = '\0'; }

int remember(int file) {
  if (file < 0 || file >= static_cast<int>(kDescriptors)) return file;
  const int kept_errno = errno;
  std::array<char, 32> link{};
  std::array<char, PATH_MAX> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", file);
  const bool known = ::readlink(link.data(), path.data(), path.size() - 1) > 0;
  for (const Kind kind : {kWrite, kRead}) {
    g_below[kind][static_cast<std::size_t>(file)] = known && is_below(path.data(), kind);
  }
  errno = kept_errno;
  return file;
}

Action count_file(Kind kind, const char* call, int file) {
  if (!is_open_below(file, kind)) return Action::kNone;
  std::array<char, 32> link{};
  std::array<char, PATH_MAX> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", file);
  if (::readlink(link.data(), path.data(), path.size() - 1) < 0) path[0] = '\0';
  return count(kind, call, path.data());
}

bool fails(const char* call, int folder, const char* path, bool removes) {
  std::array<char, 2 * PATH_MAX> buffer{};
  const char* whole = absolute(folder, path, buffer);
  if (!is_below(whole, kWrite)) return false;
  const Action action = count(kWrite, call, whole, removes);
  if (action == Action::kTear) die();
  if (action == Action::kShort) not_failed();
  return action == Action::kError;
}

void cut_file(const char* path) {
  struct stat status {};
  if (::stat(path, &status) != 0) return;
  if (NEXT(truncate)(path, status.st_size / 2 / 4096 * 4096) != 0) std::abort();
}

bool open_fails(const char* call, int folder, const char* path, int flags) {
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0) return fails(call, folder, path);
  std::array<char, 2 * PATH_MAX> buffer{};
  const char* whole = absolute(folder, path, buffer);
  struct stat status {};
  if (!is_below(whole, kRead) || ::stat(whole, &status) != 0 || !S_ISREG(status.st_mode)) {
    return false;
  }
  const Action action = count(kRead, call, whole);
  if (action == Action::kCut) cut_file(whole);
  return action == Action::kError;
}

bool write_fails(const char* call, int file, std::size_t& bytes) {
  const Action action = count_file(kWrite, call, file);
  if (action == Action::kError) return true;
  if (action == Action::kShort || action == Action::kTear) {
    if (action == Action::kShort && bytes < 2) not_failed();
    if (bytes > 1) bytes /= 2;
  }
  return false;
}

ssize_t after(ssize_t result) {
  if (g_plan.action == Action::kTear && g_counts != nullptr && g_counts->failed[0] != '\0') die();
  return result;
}

bool sync_fails(const char* call, int file) {
  const Action action = count_file(kWrite, call, file);
  if (action == Action::kTear) die();
  if (action == Action::kShort) not_failed();
  return action == Action::kError;
}

/// Whether MKL asks for scratch memory, which it can do without.
bool is_for_scratch() {
  constexpr int kDeep = 6;  // the allocator and what called it
  std::array<void*, kDeep> callers{};
  const int found = ::backtrace(callers.data(), kDeep);
  return std::any_of(callers.begin(), callers.begin() + found, [](void* caller) {
    Dl_info place{};
    return ::dladdr(caller, &place) != 0 && place.dli_sname != nullptr &&
           std::strstr(place.dli_sname, "mkl_serv") != nullptr;
  });
}

bool alloc_fails(const char* call, std::size_t bytes) {
  if (bytes < kLargeBytes) return false;
  const char* whose = g_plan.kind == kAlloc && is_for_scratch() ? "for MKL" : "";
  return count(kAlloc, call, whose) == Action::kError;
}

}  // namespace faults

// A library of the tests' own that is preloaded (LD_PRELOAD) before the program and makes one of
// its calls fail. It counts from the start of main() to its end, and fails the N-th call of a kind:
//
//   SGPT_MI_FAULT_COUNTS  a file that holds the counts afterwards, whatever ends the process
//   (Counts) SGPT_MI_FAULT_WRITES  folder: calls that write below it are counted
//   SGPT_MI_FAULT_READS   folder: calls that read files below it are counted
//   SGPT_MI_FAULT         KIND:N:ACTION, with a "+" behind it for this call and all later ones
//
// KIND and its ACTIONs:
//   write  ENOSPC, EIO; short: half of the bytes are written; kill: SIGKILL before the call;
//          tear: half of the bytes are written, then SIGKILL. Calls that remove something are
//          counted and are places of kill, but do not fail: a full disk can be emptied.
//   read   EIO; cut: the file ends here: a read gives nothing, an opened or mapped file loses its
//          second half on the disk
//   alloc  ENOMEM, of blocks of at least 1 MiB
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}

namespace {

enum Kind : std::size_t { kWrite, kRead, kAlloc, kKinds };
enum class Action { kNone, kError, kShort, kKill, kTear, kCut };

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

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// NEXT(name): the function of that name that the program would call without this library.
#define NEXT(name)                                                        \
  []() -> decltype(&::name) {                                             \
    static decltype(&::name) const found = next<decltype(::name)>(#name); \
    return found;                                                         \
  }()

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

/// What the call named no place for is not failed: the record says so.
void not_failed() { g_counts->failed[0] = '\0'; }

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

/// Remembers in which folder a file lies that was just opened.
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

bool is_open_below(int file, Kind kind) {
  return file >= 0 && file < static_cast<int>(kDescriptors) &&
         g_below[kind][static_cast<std::size_t>(file)];
}

/// As count() for a call on an open file.
Action count_file(Kind kind, const char* call, int file) {
  if (!is_open_below(file, kind)) return Action::kNone;
  std::array<char, 32> link{};
  std::array<char, PATH_MAX> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", file);
  if (::readlink(link.data(), path.data(), path.size() - 1) < 0) path[0] = '\0';
  return count(kind, call, path.data());
}

/// As count() for a call that changes the entry of a path. Only errors and kills are possible.
bool fails(const char* call, int folder, const char* path, bool removes = false) {
  std::array<char, 2 * PATH_MAX> buffer{};
  const char* whole = absolute(folder, path, buffer);
  if (!is_below(whole, kWrite)) return false;
  const Action action = count(kWrite, call, whole, removes);
  if (action == Action::kTear) die();
  if (action == Action::kShort) not_failed();
  return action == Action::kError;
}

/// The file loses its second half, in whole pages so that a mapping of it notices.
void cut_file(const char* path) {
  struct stat status {};
  if (::stat(path, &status) != 0) return;
  if (NEXT(truncate)(path, status.st_size / 2 / 4096 * 4096) != 0) std::abort();
}

/// Whether opening a file is to fail.
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

/// The bytes that a call may write; nothing when it fails.
bool write_fails(const char* call, int file, std::size_t& bytes) {
  const Action action = count_file(kWrite, call, file);
  if (action == Action::kError) return true;
  if (action == Action::kShort || action == Action::kTear) {
    if (action == Action::kShort && bytes < 2) not_failed();
    if (bytes > 1) bytes /= 2;
  }
  return false;
}

/// Ends the process after the half of a call that is torn.
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

bool alloc_fails(const char* call, std::size_t bytes) {
  return bytes >= kLargeBytes && count(kAlloc, call, "") == Action::kError;
}

__attribute__((constructor)) void start() {
  read_plan();
  read_folder(kWrite, "SGPT_MI_FAULT_WRITES");
  read_folder(kRead, "SGPT_MI_FAULT_READS");
  open_counts();
}

using Main = int(int, char**, char**);
Main* g_main = nullptr;

int counted_main(int argc, char** argv, char** environment) {
  g_in_main = true;
  const int code = g_main(argc, argv, environment);
  g_in_main = false;
  return code;
}

}  // namespace

// What the system declares of these functions differs in attributes and exception specifications.
#pragma GCC diagnostic ignored "-Wattributes"
#pragma GCC visibility push(default)

extern "C" {

int __libc_start_main(Main* main_function, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*loader_fini)(), void* stack_end) {
  g_main = main_function;
  return next<int(Main*, int, char**, void (*)(), void (*)(), void (*)(), void*)>(
      "__libc_start_main")(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}

// --- allocations -----------------------------------------------------------------------------

void* malloc(std::size_t bytes) noexcept {
  return alloc_fails("malloc", bytes) ? nullptr : __libc_malloc(bytes);
}
void* calloc(std::size_t number, std::size_t bytes) noexcept {
  return alloc_fails("calloc", number * bytes) ? nullptr : __libc_calloc(number, bytes);
}
void* realloc(void* block, std::size_t bytes) noexcept {
  return alloc_fails("realloc", bytes) ? nullptr : __libc_realloc(block, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return alloc_fails("memalign", bytes) ? nullptr : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return alloc_fails("aligned_alloc", bytes) ? nullptr : __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) noexcept {
  if (alloc_fails("posix_memalign", bytes)) return ENOMEM;
  *block = __libc_memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file,
           off_t offset) noexcept {
  if ((flags & MAP_ANONYMOUS) != 0) {
    if (alloc_fails("mmap", bytes)) return MAP_FAILED;
    return NEXT(mmap)(address, bytes, protection, flags, file, offset);
  }
  const Action action = count_file(kRead, "mmap", file);
  if (action == Action::kError) return MAP_FAILED;
  void* memory = NEXT(mmap)(address, bytes, protection, flags, file, offset);
  if (action == Action::kCut) {
    std::array<char, 32> link{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", file);
    cut_file(link.data());
  }
  return memory;
}
void* mmap64(void* address, std::size_t bytes, int protection, int flags, int file,
             off_t offset) noexcept {
  return mmap(address, bytes, protection, flags, file, offset);
}

// --- opening and closing ---------------------------------------------------------------------

#define MODE_OF(flags)                                  \
  mode_t mode = 0;                                      \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {         \
    va_list rest;                                       \
    va_start(rest, flags);                              \
    mode = static_cast<mode_t>(va_arg(rest, unsigned)); \
    va_end(rest);                                       \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  if (open_fails("open", AT_FDCWD, path, flags)) return -1;
  return remember(NEXT(open)(path, flags, mode));
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  if (open_fails("open", AT_FDCWD, path, flags)) return -1;
  return remember(NEXT(open)(path, flags | O_LARGEFILE, mode));
}
int openat(int folder, const char* path, int flags, ...) {
  MODE_OF(flags)
  if (open_fails("openat", folder, path, flags)) return -1;
  return remember(NEXT(openat)(folder, path, flags, mode));
}
int openat64(int folder, const char* path, int flags, ...) {
  MODE_OF(flags)
  if (open_fails("openat", folder, path, flags)) return -1;
  return remember(NEXT(openat)(folder, path, flags | O_LARGEFILE, mode));
}
FILE* fopen(const char* path, const char* mode) {
  const bool reads = mode[0] == 'r' && std::strchr(mode, '+') == nullptr;
  if (open_fails("fopen", AT_FDCWD, path, reads ? O_RDONLY : O_WRONLY)) return nullptr;
  FILE* file = NEXT(fopen)(path, mode);
  if (file != nullptr) remember(::fileno(file));
  return file;
}
FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }
int close(int file) {
  if (file >= 0 && file < static_cast<int>(kDescriptors)) {
    for (auto& folder : g_below) folder[static_cast<std::size_t>(file)] = false;
  }
  return NEXT(close)(file);
}

// --- reading ---------------------------------------------------------------------------------

ssize_t read(int file, void* bytes, std::size_t count) {
  const Action action = count_file(kRead, "read", file);
  if (action == Action::kError) return -1;
  return action == Action::kCut ? 0 : NEXT(read)(file, bytes, count);
}
ssize_t pread(int file, void* bytes, std::size_t count, off_t offset) {
  const Action action = count_file(kRead, "pread", file);
  if (action == Action::kError) return -1;
  return action == Action::kCut ? 0 : NEXT(pread)(file, bytes, count, offset);
}
ssize_t pread64(int file, void* bytes, std::size_t count, off_t offset) {
  return pread(file, bytes, count, offset);
}
ssize_t readv(int file, const iovec* parts, int count) {
  const Action action = count_file(kRead, "readv", file);
  if (action == Action::kError) return -1;
  return action == Action::kCut ? 0 : NEXT(readv)(file, parts, count);
}

// --- writing ---------------------------------------------------------------------------------

ssize_t write(int file, const void* bytes, std::size_t count) {
  if (write_fails("write", file, count)) return -1;
  return after(NEXT(write)(file, bytes, count));
}
ssize_t pwrite(int file, const void* bytes, std::size_t count, off_t offset) {
  if (write_fails("pwrite", file, count)) return -1;
  return after(NEXT(pwrite)(file, bytes, count, offset));
}
ssize_t pwrite64(int file, const void* bytes, std::size_t count, off_t offset) {
  return pwrite(file, bytes, count, offset);
}
ssize_t writev(int file, const iovec* parts, int count) {
  std::size_t first = count > 0 ? parts[0].iov_len : 0;
  const std::size_t whole = first;
  if (write_fails("writev", file, first)) return -1;
  if (first == whole) return after(NEXT(writev)(file, parts, count));
  return after(NEXT(write)(file, parts[0].iov_base, first));
}
std::size_t fwrite(const void* bytes, std::size_t size, std::size_t count, FILE* stream) {
  std::size_t part = count;
  if (write_fails("fwrite", ::fileno(stream), part)) return 0;
  if (g_plan.action == Action::kShort && part != count) not_failed();  // fwrite itself goes on
  const std::size_t whole = g_plan.action == Action::kShort ? count : part;
  return static_cast<std::size_t>(
      after(static_cast<ssize_t>(NEXT(fwrite)(bytes, size, whole, stream))));
}
ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, std::size_t count,
                        unsigned flags) {
  if (write_fails("copy_file_range", out, count)) return -1;
  return after(NEXT(copy_file_range)(in, in_at, out, out_at, count, flags));
}
ssize_t sendfile(int out, int in, off_t* at, std::size_t count) noexcept {
  if (write_fails("sendfile", out, count)) return -1;
  return after(NEXT(sendfile)(out, in, at, count));
}
ssize_t sendfile64(int out, int in, off64_t* at, std::size_t count) noexcept {
  return sendfile(out, in, at, count);
}
int fsync(int file) { return sync_fails("fsync", file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return sync_fails("fdatasync", file) ? -1 : NEXT(fdatasync)(file); }
int ftruncate(int file, off_t bytes) noexcept {
  return sync_fails("ftruncate", file) ? -1 : NEXT(ftruncate)(file, bytes);
}
int ftruncate64(int file, off64_t bytes) noexcept { return ftruncate(file, bytes); }
int posix_fallocate(int file, off_t offset, off_t bytes) {
  return sync_fails("posix_fallocate", file) ? errno : NEXT(posix_fallocate)(file, offset, bytes);
}
int posix_fallocate64(int file, off64_t offset, off64_t bytes) {
  return posix_fallocate(file, offset, bytes);
}

// --- entries of folders ----------------------------------------------------------------------

int rename(const char* from, const char* to) noexcept {
  return fails("rename", AT_FDCWD, to) ? -1 : NEXT(rename)(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return fails("renameat", to_folder, to) ? -1 : NEXT(renameat)(from_folder, from, to_folder, to);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  return fails("renameat2", to_folder, to)
             ? -1
             : NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return fails("mkdir", AT_FDCWD, path) ? -1 : NEXT(mkdir)(path, mode);
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  return fails("mkdirat", folder, path) ? -1 : NEXT(mkdirat)(folder, path, mode);
}
int symlink(const char* target, const char* path) noexcept {
  return fails("symlink", AT_FDCWD, path) ? -1 : NEXT(symlink)(target, path);
}
int link(const char* from, const char* path) noexcept {
  return fails("link", AT_FDCWD, path) ? -1 : NEXT(link)(from, path);
}
int unlink(const char* path) noexcept {
  return fails("unlink", AT_FDCWD, path, true) ? -1 : NEXT(unlink)(path);
}
int rmdir(const char* path) noexcept {
  return fails("rmdir", AT_FDCWD, path, true) ? -1 : NEXT(rmdir)(path);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  return fails("unlinkat", folder, path, true) ? -1 : NEXT(unlinkat)(folder, path, flags);
}
int remove(const char* path) noexcept {
  return fails("remove", AT_FDCWD, path, true) ? -1 : NEXT(remove)(path);
}

}  // extern "C"

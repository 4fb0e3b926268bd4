// A library of the tests' own that is preloaded (LD_PRELOAD) before the program and makes one of
// its calls fail. It counts from the start of main() to its end, and fails the N-th call of a kind:
//
//   SGPT_MI_FAULT_COUNTS  a file that holds the counts afterwards, whatever ends the process
//   (Counts) SGPT_MI_FAULT_WRITES  folder: calls that write below it are counted
//   SGPT_MI_FAULT_READS   folder: calls that read files below it are counted
//   SGPT_MI_FAULT_RANK    of the ranks of an mpirun only this one counts and fails
//   SGPT_MI_FAULT         KIND:N:ACTION, with a "+" behind it for this call and all later ones
//
// KIND and its ACTIONs:
//   write  ENOSPC, EIO; short: half of the bytes are written; kill: SIGKILL before the call;
//          tear: half of the bytes are written, then SIGKILL. Calls that remove something are
//          counted and are places of kill, but do not fail: a full disk can be emptied.
//   read   EIO; cut: the file ends here: a read gives nothing, an opened or mapped file loses its
//          second half on the disk
//   alloc  ENOMEM, of blocks of at least 1 MiB
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "fault_plan.h"

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}

namespace {

using namespace faults;  // NOLINT(google-build-using-namespace)

using Main = int(int, char**, char**);
Main* g_main = nullptr;

int counted_main(int argc, char** argv, char** environment) {
  set_in_main(true);
  const int code = g_main(argc, argv, environment);
  set_in_main(false);
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
  forget(file);
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
  if (is_planned(Action::kShort) && part != count) not_failed();  // fwrite itself goes on
  const std::size_t whole = is_planned(Action::kShort) ? count : part;
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

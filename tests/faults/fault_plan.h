#pragma once

#include <dlfcn.h>
#include <sys/types.h>

#include <cstddef>

// Which call is to fail, and what of it: the counting behind faults.cpp.
namespace faults {

enum Kind : std::size_t { kWrite, kRead, kAlloc, kKinds };
enum class Action { kNone, kError, kShort, kKill, kTear, kCut };

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

/// Counting begins with true and ends with false.
void set_in_main(bool in_main);

/// Remembers in which folder a file lies that was just opened; gives it back. forget(): closed.
int remember(int file);
void forget(int file);

/// Counts a call on an open file, if that lies below the kind's folder, and says what is to become
/// of it. An error is in errno.
Action count_file(Kind kind, const char* call, int file);

/// Whether a call that changes the entry of a path below the folder of writes is to fail.
/// \param removes  it takes something away: it can be a place of a kill only.
bool fails(const char* call, int folder, const char* path, bool removes = false);

/// Whether opening a file is to fail, for reading or for writing as `flags` say.
bool open_fails(const char* call, int folder, const char* path, int flags);

/// Whether a call that writes is to fail; else `bytes` becomes what it may write.
bool write_fails(const char* call, int file, std::size_t& bytes);

/// The result of such a call, unless it was torn: then the process ends.
ssize_t after(ssize_t result);

/// Whether a call that brings a file to the disk or sets its size is to fail.
bool sync_fails(const char* call, int file);

/// Whether an allocation is to fail.
bool alloc_fails(const char* call, std::size_t bytes);

/// What the last call named is not failed after all: the record says so.
void not_failed();

/// Whether the plan's action is this one.
bool is_planned(Action action);

/// The file loses its second half, in whole pages so that a mapping of it notices.
void cut_file(const char* path);

}  // namespace faults

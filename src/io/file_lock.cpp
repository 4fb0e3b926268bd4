#include "sgpt_mi/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace sgpt_mi::io {
namespace {

/// Whether an open file is still the one that has the name.
bool has_name(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

std::optional<FileDescriptor> try_lock_file(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;  // its folder was removed
  if (file.get() < 0) fail_output(path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
    const bool without_locks = errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK;
    if (!without_locks) fail_output(path, errno);
  }
  // A lock on a file that another process has removed is none.
  if (!has_name(file, path)) return std::nullopt;
  return file;
}

}  // namespace sgpt_mi::io

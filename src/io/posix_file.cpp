#include "sgpt_mi/io/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

InputFile open_input(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    fail(ErrorKind::kInput, "io: cannot read {}: {}; check the path and its permissions",
         path.string(), std::generic_category().message(errno));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail(ErrorKind::kInput, "io: cannot read {}: {}", path.string(),
         std::generic_category().message(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorKind::kInput, "io: {} is not a regular file; a file was expected", path.string());
  }
  return {std::move(file), static_cast<std::size_t>(status.st_size)};
}

FileDescriptor create_output(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail_output(path, errno);
  return file;
}

namespace {

/// Reads bytes that the system could not: those of a MappedFile that is shorter by now end the
/// process with the sentence that names it (install_lost_bytes_handler()).
void touch(std::span<const std::byte> bytes) {
  constexpr std::size_t kPageBytes = 4096;
  for (std::size_t at = 0; at < bytes.size(); at += kPageBytes) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&bytes[at]));
  }
  static_cast<void>(*static_cast<const volatile std::byte*>(&bytes.back()));
}

}  // namespace

void write_at(const FileDescriptor& file, std::uint64_t offset, std::span<const std::byte> bytes,
              const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EFAULT) touch(bytes);
    if (written < 0) fail_output(path, errno);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void sync_file(const FileDescriptor& file, const std::filesystem::path& path) {
  // EINVAL: the file system has nothing to sync for this kind of file.
  if (::fsync(file.get()) != 0 && errno != EINVAL) fail_output(path, errno);
}

void sync_path(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail_output(path, errno);
  sync_file(file, path);
}

void fail_output(const std::filesystem::path& path, int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      fail(ErrorKind::kInput,
           "io: cannot write {}: the disk or the quota is full; free space or choose another place",
           path.string());
    case EFBIG:
      fail(ErrorKind::kInput,
           "io: cannot write {}: the file would exceed the size limit of the process or of the "
           "file system; raise it (ulimit -f) or choose another place",
           path.string());
    default:
      fail(ErrorKind::kInput,
           "io: cannot write {}: {}; choose a folder that exists and is writable", path.string(),
           std::generic_category().message(error_number));
  }
}

}  // namespace sgpt_mi::io

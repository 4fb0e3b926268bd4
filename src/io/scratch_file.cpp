#include "sgpt_mi/io/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::io {
namespace {

/// A file that has a name for a moment only, for file systems without nameless ones.
FileDescriptor create_and_unlink(const std::filesystem::path& folder) {
  std::string name = (folder / "sgpt-mi-XXXXXX").string();  // mkostemp fills in the last six
  FileDescriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) fail_output(folder, errno);
  if (::unlink(name.c_str()) != 0) fail_output(name, errno);
  return file;
}

FileDescriptor create_nameless(const std::filesystem::path& folder) {
  FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() >= 0) return file;
  // EISDIR: the kernel does not know O_TMPFILE.
  if (errno == EOPNOTSUPP || errno == EISDIR) return create_and_unlink(folder);
  fail_output(folder, errno);
}

}  // namespace

struct ScratchFile::State {
  explicit State(const std::filesystem::path& where)
      : folder(where), file(create_nameless(where)) {}

  std::filesystem::path folder;
  FileDescriptor file;
  std::atomic<std::uint64_t> bytes{0};  ///< up to where it was written
};

ScratchFile::ScratchFile(const std::filesystem::path& folder)
    : state_(std::make_unique<State>(folder)) {}

ScratchFile::~ScratchFile() = default;

void ScratchFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  write_at(state_->file, offset, bytes, state_->folder);
  const std::uint64_t end = offset + bytes.size();
  std::uint64_t known = state_->bytes;
  while (known < end && !state_->bytes.compare_exchange_weak(known, end)) {
  }
}

void ScratchFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  ensure(offset + bytes.size() <= state_->bytes, "io: a read beyond the end of a temporary file");
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(state_->file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      fail(ErrorKind::kInput, "io: cannot read a temporary file in {}: {}; choose another folder",
           state_->folder.string(), std::generic_category().message(errno));
    }
    if (count == 0) {
      fail(ErrorKind::kInput,
           "io: a temporary file in {} ends before byte {}, which was written: its disk failed; "
           "choose another folder (TMPDIR)",
           state_->folder.string(), offset);
    }
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void ScratchFile::will_need(std::uint64_t offset, std::size_t bytes) const {
  // A hint: where the system cannot take it, the read itself waits.
  static_cast<void>(::posix_fadvise(state_->file.get(), static_cast<off_t>(offset),
                                    static_cast<off_t>(bytes), POSIX_FADV_WILLNEED));
}

}  // namespace sgpt_mi::io

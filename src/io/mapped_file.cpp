#include "sgpt_mi/io/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "mapped_regions.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/lfs_pointer.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::io {
namespace {

/// Whatever a file was to be, none of its readers can say more of a pointer than this.
void refuse_lfs_pointer(const InputFile& file, const std::filesystem::path& path) {
  if (file.bytes >= kLfsPointerBytes) return;
  std::array<char, kLfsPointerBytes> start;
  const ssize_t count = ::pread(file.descriptor.get(), start.data(), start.size(), 0);
  if (count <= 0 || !is_lfs_pointer({start.data(), static_cast<std::size_t>(count)})) return;
  fail(ErrorKind::kInput,
       "io: {} is a Git LFS pointer of {} bytes, not the file that it stands for; run 'git lfs "
       "pull' in its folder, or download the file itself",
       path.string(), file.bytes);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const InputFile file = open_input(path);
  if (file.bytes == 0) return;  // mmap refuses a length of 0
  refuse_lfs_pointer(file, path);
  void* address = ::mmap(nullptr, file.bytes, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
  if (address == MAP_FAILED) {
    fail(ErrorKind::kInput, "io: cannot map {} ({} bytes) into memory: {}", path.string(),
         file.bytes, std::generic_category().message(errno));
  }
  bytes_ = {static_cast<const std::byte*>(address), file.bytes};
  remember_mapping(bytes_, path);
}

namespace {

/// madvise on bytes [begin, end) of a mapping, which starts at a page; a hint, so that what the
/// system refuses is no error.
void advise(std::span<const std::byte> mapping, std::size_t begin, std::size_t end, int advice) {
  if (begin >= end) return;
  // madvise's signature wants a pointer to non-const; it does not write through it.
  static_cast<void>(::madvise(const_cast<std::byte*>(mapping.data() + begin), end - begin, advice));
}

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// Where a part of a mapping begins in it.
std::size_t offset_of(std::span<const std::byte> part, std::span<const std::byte> mapping) {
  return static_cast<std::size_t>(part.data() - mapping.data());
}

}  // namespace

void MappedFile::will_need(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const std::size_t begin = offset_of(part, bytes_);
  advise(bytes_, begin / page_bytes() * page_bytes(), begin + part.size(), MADV_WILLNEED);
}

void MappedFile::done_with(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const std::size_t page = page_bytes();
  const std::size_t begin = offset_of(part, bytes_);
  advise(bytes_, (begin + page - 1) / page * page, (begin + part.size()) / page * page,
         MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  forget_mapping(bytes_);
  // munmap's signature wants a pointer to non-const; it does not write through it.
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace sgpt_mi::io

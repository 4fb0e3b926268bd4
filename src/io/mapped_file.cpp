#include "sgpt_mi/io/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "posix_file.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const InputFile file = open_input(path);
  if (file.bytes == 0) return;  // mmap refuses a length of 0
  void* address = ::mmap(nullptr, file.bytes, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
  if (address == MAP_FAILED) {
    fail(ErrorKind::kInput, "io: cannot map {} ({} bytes) into memory: {}", path.string(),
         file.bytes, std::generic_category().message(errno));
  }
  bytes_ = {static_cast<const std::byte*>(address), file.bytes};
}

namespace {

/// madvise on whole pages; a hint, so that what the system refuses is no error.
void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  if (begin >= end) return;
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, advice));
}

std::uintptr_t page_bytes() { return static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

void MappedFile::will_need(std::span<const std::byte> part) const {
  const std::uintptr_t page = page_bytes();
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  advise(begin / page * page, begin + part.size(), MADV_WILLNEED);
}

void MappedFile::done_with(std::span<const std::byte> part) const {
  const std::uintptr_t page = page_bytes();
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  advise((begin + page - 1) / page * page, (begin + part.size()) / page * page, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  // munmap's signature wants a pointer to non-const; it does not write through it.
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace sgpt_mi::io

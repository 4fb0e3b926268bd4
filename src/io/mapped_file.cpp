#include "sgpt_mi/io/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>
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

MappedFile::~MappedFile() {
  // munmap's signature wants a pointer to non-const; it does not write through it.
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace sgpt_mi::io

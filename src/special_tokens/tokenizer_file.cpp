#include "sgpt_mi/special_tokens/tokenizer_file.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/io/lfs_pointer.h"

namespace sgpt_mi::special_tokens {

std::string read_tokenizer_file(const std::filesystem::path& path) {
  std::string bytes = documents::read_text_file(path);
  if (io::is_lfs_pointer(bytes)) {
    fail(ErrorKind::kInput,
         "text: {} is a Git LFS pointer, not the file itself; run 'git lfs pull' in its folder or "
         "download the file",
         path.string());
  }
  return bytes;
}

}  // namespace sgpt_mi::special_tokens

#include "sgpt_mi/io/lfs_pointer.h"

namespace sgpt_mi::io {

bool is_lfs_pointer(std::string_view first_bytes) {
  return first_bytes.starts_with("version https://git-lfs.github.com/spec/");
}

}  // namespace sgpt_mi::io

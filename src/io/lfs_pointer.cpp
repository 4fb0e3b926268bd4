#include "sgpt_mi/io/lfs_pointer.h"

#include <algorithm>
#include <array>

namespace sgpt_mi::io {

bool is_lfs_pointer(std::string_view first_bytes) {
  constexpr std::array<std::string_view, 3> kFirstLines{"version https://git-lfs.github.com/spec/",
                                                        "version https://hawser.github.com/spec/",
                                                        "version http://git-media.io/v/"};
  return std::any_of(kFirstLines.begin(), kFirstLines.end(),
                     [&](std::string_view line) { return first_bytes.starts_with(line); });
}

}  // namespace sgpt_mi::io

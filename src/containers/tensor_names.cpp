#include "sgpt_mi/containers/tensor_names.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::containers {

std::string checked_name(std::string_view name, const std::string& label) {
  std::string shown = printable(name);
  if (shown == name) return shown;
  fail(ErrorKind::kInput,
       "io: {}: the name '{}' has control characters or is not UTF-8; get the file again", label,
       shown);
}

}  // namespace sgpt_mi::containers

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// A tensor of a source, and the name that it gets.
struct Renaming {
  std::string stored;
  std::string name;
};

/// These tensors of another source under other names, in this order; the rest is left out. Names
/// must be unique and `stored` ones there (kInternal otherwise).
[[nodiscard]] std::unique_ptr<TensorSource> rename_tensors(std::unique_ptr<TensorSource> stored,
                                                           const std::vector<Renaming>& renamings);

}  // namespace sgpt_mi::containers

#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sgpt_mi/model/model.h"

namespace sgpt_mi::walk {

/// Which linears are compressed: those in blocks [min_layer, max_layer) whose name contains
/// `name_contains`; with `invert` all others.
struct LayerSelection {
  std::int64_t min_layer = -1;
  std::int64_t max_layer = std::numeric_limits<std::int64_t>::max();
  std::string name_contains;
  bool invert = false;

  [[nodiscard]] bool contains(std::int64_t layer, const std::string& linear) const;
};

/// The selected linears of a model, block by block, without loading it.
[[nodiscard]] std::vector<model::LinearInfo> selected_linears(const model::Model& model,
                                                              const LayerSelection& selection);

}  // namespace sgpt_mi::walk

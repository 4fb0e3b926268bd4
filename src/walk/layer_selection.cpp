#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::walk {

bool LayerSelection::contains(std::int64_t layer, const std::string& linear) const {
  const bool inside =
      layer >= min_layer && layer < max_layer && linear.find(name_contains) != std::string::npos;
  return inside != invert;
}

std::vector<model::LinearInfo> selected_linears(const model::Model& model,
                                                const LayerSelection& selection) {
  std::vector<model::LinearInfo> selected;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    for (model::LinearInfo& linear : model.block_linears(layer)) {
      if (selection.contains(layer, linear.name)) selected.push_back(std::move(linear));
    }
  }
  return selected;
}

}  // namespace sgpt_mi::walk

#include "sgpt_mi/model/model.h"

#include <map>
#include <utility>

#include "family.h"
#include "layout.h"
#include "linear.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::model {

struct Model::State {
  State(ModelSpec model_spec, const io::TensorSource& source)
      : spec(std::move(model_spec)),
        family(family_of(spec)),
        tensors(source),
        layout(spec, source) {}

  /// "model.layers.3."
  [[nodiscard]] std::string block_prefix(std::int64_t layer) const {
    ensure(layer >= 0 && layer < spec.layers, "model: a block outside the model's layers");
    return layout.block_prefix(layer);
  }

  /// A tensor on `where`, in memory of its own: results then do not depend on where a file happens
  /// to place it (matrix products take other paths for other alignments).
  [[nodiscard]] torch::Tensor load(const std::string& name, const Placement& where) const {
    torch::Tensor tensor = to_torch(tensors.read(name))
                               .to(where.device, where.dtype, /*non_blocking=*/false,
                                   /*copy=*/true);
    require_finite(tensor, name);
    return tensor;
  }

  /// A tensor of the ends, kept until release_ends() or until another placement is asked for.
  [[nodiscard]] torch::Tensor end_tensor(const std::string& name, const Placement& where) {
    if (where.device != ends_placement.device || where.dtype != ends_placement.dtype) ends.clear();
    ends_placement = where;
    const auto kept = ends.find(name);
    if (kept != ends.end()) return kept->second;
    return ends.emplace(name, load(name, where)).first->second;
  }

  [[nodiscard]] EndTensor ends_on(const Placement& where) {
    return
        [this, where](std::string_view name) { return end_tensor(layout.end_name(name), where); };
  }

  ModelSpec spec;
  const Family& family;
  const io::TensorSource& tensors;
  Layout layout;
  std::map<std::string, torch::Tensor> ends;
  Placement ends_placement;  ///< where `ends` are
};

Model::Model(const io::Checkpoint& checkpoint)
    : Model(parse_model_spec(checkpoint.config), *checkpoint.tensors) {}

Model::Model(ModelSpec spec, const io::TensorSource& tensors)
    : state_(std::make_unique<State>(std::move(spec), tensors)) {}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

const ModelSpec& Model::spec() const { return state_->spec; }

torch::Tensor Model::embed(const torch::Tensor& ids, const Placement& where) {
  require_window(state_->spec, ids.size(1));
  const torch::Tensor table = state_->end_tensor(state_->layout.embedding(), where);
  const torch::Tensor embedded = at::embedding(table, ids.to(where.device));
  return state_->family.embed(state_->spec, state_->ends_on(where), embedded);
}

std::vector<LinearInfo> Model::block_linears(std::int64_t layer) const {
  return linears_of_block(state_->spec, state_->block_prefix(layer));
}

std::unique_ptr<Block> Model::load_block(std::int64_t layer, const Placement& where) const {
  const std::string prefix = state_->block_prefix(layer);
  BlockParts parts{state_->spec, layer, linears_of_block(state_->spec, prefix), {}};
  for (const std::string& name : block_tensor_names(state_->spec)) {
    parts.tensors.emplace(name, state_->load(prefix + name, where));
  }
  return state_->family.make_block(std::move(parts));
}

torch::Tensor Model::final_hidden(const torch::Tensor& hidden, const Placement& where) {
  return state_->family.final_hidden(state_->spec, state_->ends_on(where), hidden);
}

torch::Tensor Model::logits(const torch::Tensor& final_hidden, const Placement& where) {
  return apply_linear(final_hidden, state_->end_tensor(state_->layout.head(), where), {});
}

void Model::release_ends() { state_->ends.clear(); }

}  // namespace sgpt_mi::model

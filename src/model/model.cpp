#include "sgpt_mi/model/model.h"

#include <map>
#include <utility>

#include "block_reader.h"
#include "family.h"
#include "layout.h"
#include "linear.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::model {

struct Model::State {
  State(ModelSpec model_spec, const WeightFiles& files)
      : spec(std::move(model_spec)),
        family(family_of(spec)),
        weights(files),
        layout(spec, files.tensors),
        blocks(files) {}

  /// "model.layers.3."
  [[nodiscard]] std::string block_prefix(std::int64_t layer) const {
    ensure(layer >= 0 && layer < spec.layers, "model: a block outside the model's layers");
    return layout.block_prefix(layer);
  }

  [[nodiscard]] BlockNames block_names(std::int64_t layer) const {
    const std::string prefix = block_prefix(layer);
    BlockNames names;
    for (const std::string& name : block_tensor_names(spec)) {
      names.emplace_back(name, prefix + name);
    }
    return names;
  }

  /// A tensor of the ends, kept until release_ends() or until another placement is asked for.
  [[nodiscard]] torch::Tensor end_tensor(const std::string& name, const Placement& where) {
    if (where.device != ends_placement.device || where.dtype != ends_placement.dtype) ends.clear();
    ends_placement = where;
    const auto kept = ends.find(name);
    if (kept != ends.end()) return kept->second;
    return ends.emplace(name, load_tensor(weights, name, where)).first->second;
  }

  [[nodiscard]] EndTensor ends_on(const Placement& where) {
    return
        [this, where](std::string_view name) { return end_tensor(layout.end_name(name), where); };
  }

  ModelSpec spec;
  const Family& family;
  WeightFiles weights;
  Layout layout;
  BlockReader blocks;
  std::map<std::string, torch::Tensor> ends;
  Placement ends_placement;  ///< where `ends` are
};

Model::Model(const formats::Checkpoint& checkpoint)
    : Model(parse_model_spec(checkpoint.config), *checkpoint.tensors, checkpoint.codes) {}

Model::Model(ModelSpec spec, const containers::TensorSource& tensors,
             const formats::CodeSource* packed)
    : state_(std::make_unique<State>(std::move(spec), WeightFiles{tensors, packed})) {}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

const ModelSpec& Model::spec() const { return state_->spec; }

torch::Tensor Model::embed(const torch::Tensor& ids, const Placement& where) {
  require_window(state_->spec, ids.size(1));
  const torch::Tensor table = state_->end_tensor(state_->layout.embedding(), where);
  const torch::Tensor embedded = at::embedding(table, ids.to(where.device));
  return state_->family.embed(state_->spec, state_->ends_on(where), embedded);
}

void Model::read_embedding(const Placement& where) {
  static_cast<void>(embed(at::zeros({1, 1}, torch::kInt64), where));
}

void Model::read_head(const Placement& where) {
  const auto options = torch::TensorOptions().device(where.device).dtype(where.dtype);
  static_cast<void>(final_hidden(at::zeros({1, 1, state_->spec.hidden}, options), where));
  static_cast<void>(head(where));
}

std::vector<LinearInfo> Model::block_linears(std::int64_t layer) const {
  return linears_of_block(state_->spec, state_->block_prefix(layer));
}

std::unique_ptr<Block> Model::load_block(std::int64_t layer, const Placement& where) const {
  BlockParts parts{state_->spec, layer, block_linears(layer), {}};
  parts.tensors = state_->blocks.read(layer, state_->block_names(layer), where);
  return state_->family.make_block(std::move(parts));
}

void Model::read_ahead(std::int64_t layer, const Placement& where) const {
  if (layer < 0 || layer >= state_->spec.layers) return;
  state_->blocks.read_ahead(layer, state_->block_names(layer), where);
}

torch::Tensor Model::final_hidden(const torch::Tensor& hidden, const Placement& where) {
  return state_->family.final_hidden(state_->spec, state_->ends_on(where), hidden);
}

torch::Tensor Model::logits(const torch::Tensor& final_hidden, const Placement& where) {
  return logits(final_hidden, head(where));
}

torch::Tensor Model::logits(const torch::Tensor& final_hidden, const torch::Tensor& head) {
  return apply_linear(final_hidden, head, {});
}

torch::Tensor Model::head(const Placement& where) {
  return state_->end_tensor(state_->layout.head(), where);
}

void Model::release_ends() { state_->ends.clear(); }

}  // namespace sgpt_mi::model

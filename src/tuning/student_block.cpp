#include "student_block.h"

#include <torch/csrc/autograd/autograd.h>

#include <optional>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::tuning {

StudentBlock::StudentBlock(const model::Model& student, std::int64_t layer,
                           const model::Placement& placement,
                           const std::vector<CompressedLinear>& linears)
    : student_(student), layer_(layer), placement_(placement) {
  const std::unique_ptr<model::Block> block = student.load_block(layer, placement);
  for (const model::LinearInfo& own : block->linears()) {
    for (std::size_t i = 0; i < linears.size(); ++i) {
      if (linears[i].linear.name != own.name) continue;
      linears_.push_back({i, own.short_name, TunedMatrix(linears[i].matrix)});
    }
  }
  add_vectors(*block);
}

/// Biases of compressed linears, and the norms that only linears read.
void StudentBlock::add_vectors(const model::Block& block) {
  for (const Linear& linear : linears_) {
    const std::optional<torch::Tensor> bias = block.bias(linear.short_name);
    for (const model::LinearInfo& own : block.linears()) {
      if (!bias || own.short_name != linear.short_name) continue;
      vectors_.push_back({linear.short_name, own.name + ".bias", true, TunedVector(*bias)});
    }
  }
  if (block.linears().empty() || linears_.empty()) return;
  const model::LinearInfo& any = block.linears().front();
  const std::string prefix = any.name.substr(0, any.name.size() - any.short_name.size());
  for (int site = 0; site < model::kSites; ++site) {
    for (const model::NamedTensor& norm : block.norm_before(static_cast<model::Site>(site))) {
      vectors_.push_back(
          {norm.short_name, prefix + norm.short_name, false, TunedVector(norm.value)});
    }
  }
}

std::unique_ptr<model::Block> StudentBlock::load() const {
  std::unique_ptr<model::Block> block = student_.load_block(layer_, placement_);
  for (const Linear& linear : linears_) {
    block->set_weight(linear.short_name, linear.matrix.value());
  }
  for (const Vector& vector : vectors_) {
    if (vector.is_bias) {
      block->set_bias(vector.short_name, vector.vector.value());
    } else {
      block->set_norm({vector.short_name, vector.vector.value()});
    }
  }
  return block;
}

/// The block's own tensor of a vector.
torch::Tensor StudentBlock::tensor_of(const model::Block& block, const Vector& vector) const {
  if (vector.is_bias) return block.bias(vector.short_name).value();
  for (int site = 0; site < model::kSites; ++site) {
    for (model::NamedTensor& norm : block.norm_before(static_cast<model::Site>(site))) {
      if (norm.short_name == vector.short_name) return std::move(norm.value);
    }
  }
  fail(ErrorKind::kInternal, "tuning: a block lost its {}", vector.short_name);
}

torch::Tensor StudentBlock::step(const torch::Tensor& input, const torch::Tensor& gradient,
                                 const AdamStep& adam) {
  const std::unique_ptr<model::Block> block = load();
  std::vector<torch::Tensor> tensors{input.detach().requires_grad_(true)};
  for (const Linear& linear : linears_) {
    tensors.push_back(block->weight(linear.short_name));
    tensors.back().requires_grad_(true);
  }
  for (const Vector& vector : vectors_) {
    tensors.push_back(tensor_of(*block, vector));
    tensors.back().requires_grad_(true);
  }
  std::vector<torch::Tensor> found;
  {
    const at::AutoGradMode with_gradients(true);
    const torch::Tensor output = block->forward(tensors.front());
    found = torch::autograd::grad({output}, tensors, {gradient});
  }
  std::size_t next = 1;
  for (Linear& linear : linears_) linear.matrix.move(found[next++].to(torch::kFloat32), adam);
  for (Vector& vector : vectors_) vector.vector.move(found[next++].to(torch::kFloat32), adam);
  return found.front();
}

void StudentBlock::scale(double factor) {
  for (Linear& linear : linears_) linear.matrix.scale(factor);
  for (Vector& vector : vectors_) vector.vector.scale(factor);
}

void StudentBlock::settle(const formats::SavedTypes& types, std::vector<CompressedLinear>& linears,
                          std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  for (Linear& linear : linears_) {
    linears[linear.index].matrix = linear.matrix.settled();
    linear.matrix = TunedMatrix(linears[linear.index].matrix);
  }
  for (Vector& vector : vectors_) {
    const auto saved = model::to_scalar_type(types.dtype_of(vector.name));
    tensors.emplace_back(vector.name, vector.vector.value().to(saved));
    vector.vector = TunedVector(tensors.back().second);
  }
}

}  // namespace sgpt_mi::tuning

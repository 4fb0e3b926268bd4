#include "block_base.h"

#include <spdlog/fmt/ranges.h>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::model {

torch::Tensor Block::forward(const torch::Tensor& hidden, const SiteObserver& observer) const {
  BlockState state = begin(hidden);
  for (int index = 0; index < kSites; ++index) {
    const Site site = static_cast<Site>(index);
    const torch::Tensor input = site_input(site, state);
    if (observer) observer(site, input);
    advance(site, state, input);
  }
  return state.hidden;
}

const torch::Tensor& BlockBase::weight(const std::string& short_name) const {
  return tensor(short_name + ".weight");
}

void BlockBase::set_weight(const std::string& short_name, const torch::Tensor& value) {
  const torch::Tensor& old = weight(short_name);
  if (value.sizes() != old.sizes()) {
    fail(ErrorKind::kInternal, "model: a weight of shape [{}] for {}; expected [{}]",
         fmt::join(value.sizes(), ", "), short_name, fmt::join(old.sizes(), ", "));
  }
  parts_.tensors[short_name + ".weight"] = value.detach().to(old.options()).contiguous();
}

BlockState BlockBase::begin(const torch::Tensor& hidden) const { return {hidden, {}}; }

const torch::Tensor& BlockBase::tensor(const std::string& name) const {
  const auto found = parts_.tensors.find(name);
  if (found == parts_.tensors.end()) {
    fail(ErrorKind::kInternal, "model: block {} has no tensor {}", layer(), name);
  }
  return found->second;
}

std::optional<torch::Tensor> BlockBase::optional_tensor(const std::string& name) const {
  const auto found = parts_.tensors.find(name);
  if (found == parts_.tensors.end()) return std::nullopt;
  return found->second;
}

torch::Tensor BlockBase::linear(const std::string& short_name, const torch::Tensor& x) const {
  return at::linear(x, weight(short_name), optional_tensor(short_name + ".bias"));
}

torch::Tensor causal_attention(const torch::Tensor& query, const torch::Tensor& key,
                               const torch::Tensor& value, std::optional<std::int64_t> window) {
  const std::int64_t length = query.size(1);
  const bool windowed = window && *window < length;
  std::optional<torch::Tensor> mask;
  if (windowed) {
    const torch::Tensor all = at::ones({length, length}, query.options().dtype(torch::kBool));
    mask = at::triu(at::tril(all), 1 - *window);
  }
  const torch::Tensor attended = at::scaled_dot_product_attention(
      query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), mask, /*dropout_p=*/0.0,
      /*is_causal=*/!windowed, /*scale=*/std::nullopt,
      /*enable_gqa=*/key.size(2) != query.size(2));
  return attended.transpose(1, 2).flatten(2);
}

torch::Tensor activate(Activation activation, const torch::Tensor& x) {
  switch (activation) {
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kGelu:
      return at::gelu(x, "none");
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kSilu:
      return at::silu(x);
  }
  fail(ErrorKind::kInternal, "model: unknown activation {}", static_cast<int>(activation));
}

}  // namespace sgpt_mi::model

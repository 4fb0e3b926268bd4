#include "block_base.h"

#include <spdlog/fmt/ranges.h>

#include <cmath>

#include "bfloat16_steps.h"
#include "linear.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/causal_attention.h"
#include "sgpt_mi/quant/tensor_view.h"  // backend_of

namespace sgpt_mi::model {
namespace {

/// Whether the kernel can stand in for LibTorch's attention: it knows no gradients. LibTorch's own
/// multiplies narrow types in float32, several times as slowly.
bool kernel_attends(const torch::Tensor& query, const torch::Tensor& key,
                    const torch::Tensor& value) {
  const bool needs_gradient =
      at::GradMode::is_enabled() &&
      (query.requires_grad() || key.requires_grad() || value.requires_grad());
  return query.is_cpu() && query.scalar_type() != torch::kFloat64 && !needs_gradient;
}

torch::Tensor attend_by_kernel(const torch::Tensor& query, const torch::Tensor& key,
                               const torch::Tensor& value, std::int64_t window) {
  torch::Tensor output = at::empty(query.sizes(), query.options());
  cpu_kernels::CausalAttention attention;
  attention.query = heads_view(query.const_data_ptr<float>(), query);
  attention.key = heads_view(key.const_data_ptr<float>(), key);
  attention.value = heads_view(value.const_data_ptr<float>(), value);
  attention.output = heads_view(output.data_ptr<float>(), output);
  attention.sequences = query.size(0);
  attention.tokens = query.size(1);
  attention.heads = query.size(2);
  attention.kv_heads = key.size(2);
  attention.head_dim = query.size(3);
  attention.window = window;
  attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(query.size(3))));
  cpu_kernels::causal_attention(attention, quant::backend_of(query));
  return output.flatten(2);
}

/// In float32: the tensor itself when the elements of a vector are neighbours, else a copy.
torch::Tensor with_whole_vectors(const torch::Tensor& x) {
  const torch::Tensor wide = x.to(torch::kFloat32);
  return wide.stride(-1) == 1 ? wide : wide.contiguous();
}

}  // namespace

torch::Tensor Block::forward(const torch::Tensor& hidden) const {
  BlockState state = begin(hidden);
  for (int index = 0; index < kSites; ++index) {
    const Site site = static_cast<Site>(index);
    advance(site, state, site_input(site, state));
  }
  return state.hidden;
}

const torch::Tensor& BlockBase::weight(const std::string& short_name) const {
  return tensor(short_name + ".weight");
}

void BlockBase::set_weight(const std::string& short_name, const torch::Tensor& value) {
  replace(short_name + ".weight", value);
}

std::optional<torch::Tensor> BlockBase::bias(const std::string& short_name) const {
  return optional_tensor(short_name + ".bias");
}

void BlockBase::set_bias(const std::string& short_name, const torch::Tensor& value) {
  replace(short_name + ".bias", value);
}

void BlockBase::set_output_observer(OutputObserver observer) {
  output_observer_ = std::move(observer);
}

std::vector<NamedTensor> BlockBase::norm_before(Site site) const {
  const std::string norm = norm_name(site);
  std::vector<NamedTensor> parameters;
  if (norm.empty()) return parameters;
  for (const char* suffix : {".weight", ".bias"}) {
    if (const auto value = optional_tensor(norm + suffix)) {
      parameters.push_back({norm + suffix, *value});
    }
  }
  return parameters;
}

void BlockBase::set_norm(const NamedTensor& parameter) {
  replace(parameter.short_name, parameter.value);
}

void BlockBase::replace(const std::string& name, const torch::Tensor& value) {
  const torch::Tensor& old = tensor(name);
  if (value.sizes() != old.sizes()) {
    fail(ErrorKind::kInternal, "model: a tensor of shape [{}] for {}; expected [{}]",
         fmt::join(value.sizes(), ", "), name, fmt::join(old.sizes(), ", "));
  }
  parts_.tensors[name] = value.detach().to(old.options()).contiguous();
}

BlockState BlockBase::begin(const torch::Tensor& hidden) const { return {hidden, {}}; }

torch::Tensor BlockBase::site_input(Site site, const BlockState& state) const {
  if (site == Site::kAttentionOut || site == Site::kMlpOut) return state.pending;
  const std::string name = norm_name(site);
  return name.empty() ? state.hidden : norm(name, state.hidden);
}

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
  torch::Tensor output = apply_linear(x, weight(short_name), bias(short_name));
  if (!output_observer_) return output;
  output_observer_(short_name, output);
  // The output can be a view, and a hook on a view is lost once something writes into it.
  return output.clone();
}

torch::Tensor causal_attention(const torch::Tensor& query, const torch::Tensor& key,
                               const torch::Tensor& value, std::optional<std::int64_t> window) {
  if (kernel_attends(query, key, value)) {
    return attend_by_kernel(with_whole_vectors(query), with_whole_vectors(key),
                            with_whole_vectors(value), window.value_or(0))
        .to(value.scalar_type());
  }
  const std::int64_t length = query.size(1);
  const bool windowed = window && *window < length;
  std::optional<torch::Tensor> mask;
  if (windowed) {
    const torch::Tensor all = at::ones({length, length}, query.options().dtype(torch::kBool));
    mask = at::triu(at::tril(all), 1 - *window);
  }
  // On a CPU LibTorch hands 16-bit attention and its gradient to products of MKL that give no
  // result where their buffers cannot be had, and do not say so.
  const auto heads = [](const torch::Tensor& x) {
    const auto type = at::promote_types(x.scalar_type(), torch::kFloat32);
    const torch::Tensor wide = x.is_cpu() ? x.to(type) : x;
    return wide.transpose(1, 2);
  };
  const torch::Tensor attended = at::scaled_dot_product_attention(
      heads(query), heads(key), heads(value), mask, /*dropout_p=*/0.0,
      /*is_causal=*/!windowed, /*scale=*/std::nullopt,
      /*enable_gqa=*/key.size(2) != query.size(2));
  return attended.transpose(1, 2).flatten(2).to(value.scalar_type());
}

torch::Tensor activate(Activation activation, torch::Tensor x) {
  switch (activation) {
    case Activation::kRelu:
      return at::relu_(x);
    case Activation::kGelu:
      return at::gelu(x, "none");
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kSilu:
      return at::silu_(x);
  }
  fail(ErrorKind::kInternal, "model: unknown activation {}", static_cast<int>(activation));
}

}  // namespace sgpt_mi::model

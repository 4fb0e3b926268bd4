#include "block_tuning.h"

#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::pipeline {
namespace {

// Adam's decay rates and epsilon as published.
constexpr double kMeanDecay = 0.9;
constexpr double kSquareDecay = 0.999;
constexpr double kEpsilon = 1e-8;

// How far the first step moves, relative to a tensor's size: see Parameter.
constexpr double kScaleRate = 1e-3;
constexpr double kWeightRate = 1e-2;
constexpr double kBiasRate = 1e-2;
constexpr double kNormRate = 1e-3;

enum class Kind : std::uint8_t { kScale, kWeight, kBias, kNorm };

double rate_of(Kind kind) {
  switch (kind) {
    case Kind::kScale:
      return kScaleRate;
    case Kind::kWeight:
      return kWeightRate;
    case Kind::kBias:
      return kBiasRate;
    case Kind::kNorm:
      return kNormRate;
  }
  fail(ErrorKind::kInternal, "pipeline: unknown kind of parameter {}", static_cast<int>(kind));
}

/// Something that is tuned, as a function of theta, which starts at 0. Scales are start *
/// exp(theta), and so stay positive; all others are start + unit * theta.
struct Parameter {
  Kind kind;
  std::string short_name;     ///< of the block's tensor that it makes; of a linear's the linear's
  std::size_t linear = 0;     ///< of a scale or weight: index of the compressed linear
  torch::Tensor start;        ///< float32
  double unit = 1.0;          ///< size of a typical value
  torch::Tensor untuned;      ///< the block's tensor before
  torch::Tensor theta;        ///< as start
  torch::Tensor mean = {};    ///< Adam's running mean of the gradient
  torch::Tensor square = {};  ///< Adam's running mean of its square

  [[nodiscard]] torch::Tensor value() const {
    return kind == Kind::kScale ? start * theta.exp() : start + unit * theta;
  }
};

double root_mean_square(const torch::Tensor& values) {
  return values.to(torch::kFloat64).square().mean().sqrt().item<double>();
}

/// Size of a typical kept weight; 1 where there is none, and nothing to tune.
double weight_unit(const obs::CompressedMatrix& matrix) {
  const auto energy = matrix.weight.to(torch::kFloat64).square().sum().item<double>();
  const auto kept = at::count_nonzero(matrix.weight).item<std::int64_t>();
  return kept == 0 ? 1.0 : std::sqrt(energy / static_cast<double>(kept));
}

/// Values of codes with these scales, (rows, N) float32; 0 where pruned.
torch::Tensor decode(const obs::CompressedMatrix& matrix, const torch::Tensor& scale) {
  quant::Grid grid;
  grid.scale = scale;
  grid.zero_point = matrix.zero_point;
  grid.group_of_column = matrix.group_of_column;
  grid.bits_of_group = matrix.bits_of_group;
  return quant::dequantize(matrix.codes, grid).masked_fill_(matrix.pruned, 0.0);
}

/// Sums (rows, N) over all values that share one element of a matrix's `scale`.
torch::Tensor sum_over_grids(const torch::Tensor& values, const obs::CompressedMatrix& matrix) {
  const torch::Tensor& scale = matrix.scale;
  const torch::Tensor rows = scale.size(0) == 1 ? values.sum(0, /*keepdim=*/true) : values;
  if (scale.size(1) == 1) return rows.sum(1, /*keepdim=*/true);
  return at::zeros(scale.sizes(), scale.options()).index_add_(1, matrix.group_of_column, rows);
}

class Tuner {
 public:
  Tuner(const BlockTuning& run, std::vector<CompressedLinear>& linears)
      : run_(run), linears_(linears) {
    measure_targets();
    add_linears();
    add_norms();
  }

  [[nodiscard]] TunedBlock tune() {
    TunedBlock tuned;
    tuned.loss_before = loss();
    error_size_ = std::sqrt(tuned.loss_before * energy_ / static_cast<double>(values_));
    tuned.loss_after = tuned.loss_before;
    if (error_size_ == 0.0) return tuned;
    for (std::int64_t i = 0; i < run_.steps; ++i) {
      check_interrupt();
      step(i);
    }
    settle(tuned);
    return tuned;
  }

 private:
  void measure_targets();
  void add_linears();
  void add_norms();
  void add(Kind kind, const std::string& short_name, const torch::Tensor& start,
           const torch::Tensor& untuned, double unit, std::size_t linear);
  [[nodiscard]] torch::Tensor block_tensor(const Parameter& parameter) const;
  void set_block_tensor(const Parameter& parameter, const torch::Tensor& value);
  [[nodiscard]] torch::Tensor made_tensor(const Parameter& parameter) const;
  [[nodiscard]] torch::Tensor pull_back(const Parameter& parameter,
                                        const torch::Tensor& gradient) const;
  [[nodiscard]] double loss() const;
  [[nodiscard]] std::vector<torch::Tensor> gradients(std::size_t batch);
  void step(std::int64_t index);
  void settle(TunedBlock& tuned);
  [[nodiscard]] CompressedLinear settled_linear(const Parameter& parameter) const;
  [[nodiscard]] std::string checkpoint_name(const Parameter& parameter) const;

  const BlockTuning& run_;
  std::vector<CompressedLinear>& linears_;
  std::vector<Parameter> parameters_;
  std::vector<torch::Tensor> levels_;  // by linear: code - zero point, 0 where pruned; or undefined
  double energy_ = 0.0;                // of all targets
  std::int64_t values_ = 0;            // in all targets
  double error_size_ = 0.0;            // root mean square of the errors before
};

void Tuner::measure_targets() {
  for (const torch::Tensor& target : run_.targets) {
    energy_ += target.to(torch::kFloat32).square().sum(torch::kFloat64).item<double>();
    values_ += target.numel();
  }
}

void Tuner::add(Kind kind, const std::string& short_name, const torch::Tensor& start,
                const torch::Tensor& untuned, double unit, std::size_t linear) {
  Parameter parameter{kind, short_name, linear, start.to(torch::kFloat32), unit, untuned, {}};
  parameter.theta = at::zeros_like(parameter.start);
  parameter.mean = at::zeros_like(parameter.start);
  parameter.square = at::zeros_like(parameter.start);
  parameters_.push_back(std::move(parameter));
}

void Tuner::add_linears() {
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    const obs::CompressedMatrix& matrix = linears_[i].matrix;
    const std::string& name = linears_[i].linear.short_name;
    const torch::Tensor& weight = run_.block.weight(name);
    const bool quantized = matrix.codes.defined();
    levels_.push_back(quantized ? decode(matrix, at::ones_like(matrix.scale)) : torch::Tensor());
    const double unit = weight_unit(matrix);
    if (quantized) {
      add(Kind::kScale, name, matrix.scale, weight, 1.0, i);
    } else {
      add(Kind::kWeight, name, matrix.weight, weight, unit, i);
    }
    // A bias is the weight of an input that is always 1.
    if (const auto bias = run_.block.bias(name)) add(Kind::kBias, name, *bias, *bias, unit, i);
  }
}

void Tuner::add_norms() {
  for (int site = 0; site < model::kSites; ++site) {
    double unit = 0.0;  // of the norm's weight, also for its bias
    for (const model::NamedTensor& norm : run_.block.norm_before(static_cast<model::Site>(site))) {
      if (unit == 0.0) unit = root_mean_square(norm.value);
      add(Kind::kNorm, norm.short_name, norm.value, norm.value, unit, 0);
    }
  }
}

/// The block's own tensor that a parameter makes.
torch::Tensor Tuner::block_tensor(const Parameter& parameter) const {
  if (parameter.kind == Kind::kBias) return *run_.block.bias(parameter.short_name);
  if (parameter.kind != Kind::kNorm) return run_.block.weight(parameter.short_name);
  for (int site = 0; site < model::kSites; ++site) {
    for (model::NamedTensor& norm : run_.block.norm_before(static_cast<model::Site>(site))) {
      if (norm.short_name == parameter.short_name) return std::move(norm.value);
    }
  }
  fail(ErrorKind::kInternal, "pipeline: a block lost its {}", parameter.short_name);
}

void Tuner::set_block_tensor(const Parameter& parameter, const torch::Tensor& value) {
  if (parameter.kind == Kind::kBias) {
    run_.block.set_bias(parameter.short_name, value);
  } else if (parameter.kind == Kind::kNorm) {
    run_.block.set_norm({parameter.short_name, value});
  } else {
    run_.block.set_weight(parameter.short_name, value);
  }
}

/// The block's tensor as the parameter's present value makes it, float32.
torch::Tensor Tuner::made_tensor(const Parameter& parameter) const {
  if (parameter.kind != Kind::kScale) return parameter.value();
  return decode(linears_[parameter.linear].matrix, parameter.value());
}

/// The gradient with respect to theta, from the one with respect to the block's tensor.
torch::Tensor Tuner::pull_back(const Parameter& parameter, const torch::Tensor& gradient) const {
  const torch::Tensor wide = gradient.to(torch::kFloat32);
  const obs::CompressedMatrix& matrix = linears_[parameter.linear].matrix;
  if (parameter.kind == Kind::kScale) {
    return sum_over_grids(wide * levels_[parameter.linear], matrix).mul_(parameter.value());
  }
  const torch::Tensor scaled = wide * parameter.unit;
  return parameter.kind == Kind::kWeight ? scaled.masked_fill(matrix.pruned, 0.0) : scaled;
}

double Tuner::loss() const {
  double error = 0.0;
  for (std::size_t i = 0; i < run_.inputs.size(); ++i) {
    check_interrupt();
    const torch::Tensor output = run_.block.forward(run_.inputs[i]).to(torch::kFloat32);
    error += (output - run_.targets[i].to(torch::kFloat32))
                 .square_()
                 .sum(torch::kFloat64)
                 .item<double>();
  }
  return energy_ > 0.0 ? error / energy_ : error;
}

/// Of one batch, with respect to the block's tensors and up to a factor, which Adam does not see.
/// The factor keeps the errors, and what is summed over the batch's tokens, near 1, where float16
/// has its digits.
std::vector<torch::Tensor> Tuner::gradients(std::size_t batch) {
  std::vector<torch::Tensor> tensors;
  for (const Parameter& parameter : parameters_) {
    set_block_tensor(parameter, made_tensor(parameter));
    tensors.push_back(block_tensor(parameter).requires_grad_(true));
  }
  const at::AutoGradMode with_gradients(true);
  const torch::Tensor output = run_.block.forward(run_.inputs[batch]);
  const auto tokens = static_cast<double>(output.numel() / output.size(-1));
  const torch::Tensor error =
      output.detach().to(torch::kFloat32) - run_.targets[batch].to(torch::kFloat32);
  const torch::Tensor at_output =
      (error / (error_size_ * std::sqrt(tokens))).to(output.scalar_type());
  return torch::autograd::grad({output}, tensors, {at_output});
}

void Tuner::step(std::int64_t index) {
  const auto batch = static_cast<std::size_t>(index) % run_.inputs.size();
  const std::vector<torch::Tensor> found = gradients(batch);
  const auto done = static_cast<double>(index);
  const double remaining = 1.0 - done / static_cast<double>(run_.steps);
  const double mean_share = 1.0 - std::pow(kMeanDecay, done + 1.0);
  const double square_share = 1.0 - std::pow(kSquareDecay, done + 1.0);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    const torch::Tensor gradient = pull_back(parameter, found[i]);
    parameter.mean.lerp_(gradient, 1.0 - kMeanDecay);
    parameter.square.mul_(kSquareDecay).addcmul_(gradient, gradient, 1.0 - kSquareDecay);
    const torch::Tensor size = (parameter.square / square_share).sqrt_().add_(kEpsilon);
    parameter.theta.addcdiv_(parameter.mean, size,
                             -rate_of(parameter.kind) * remaining / mean_share);
  }
}

/// The linear of a scale or weight parameter with its present value, as it is saved.
CompressedLinear Tuner::settled_linear(const Parameter& parameter) const {
  CompressedLinear linear = linears_[parameter.linear];
  obs::CompressedMatrix& matrix = linear.matrix;
  if (parameter.kind == Kind::kScale) {
    matrix.scale = parameter.value();
    if (matrix.scale_exponent) quant::round_to_stored(matrix.scale, *matrix.scale_exponent);
    matrix.weight = decode(matrix, matrix.scale);
  } else {
    matrix.weight = parameter.value();
  }
  linear.rounded = matrix.weight.to(linear.rounded.scalar_type());
  return linear;
}

std::string Tuner::checkpoint_name(const Parameter& parameter) const {
  const model::LinearInfo& linear = linears_[parameter.linear].linear;
  if (parameter.kind == Kind::kBias) return linear.name + ".bias";
  return linear.name.substr(0, linear.name.size() - linear.short_name.size()) +
         parameter.short_name;
}

/// Rounds everything, and takes it or leaves all as it was.
void Tuner::settle(TunedBlock& tuned) {
  std::vector<CompressedLinear> linears = linears_;
  for (const Parameter& parameter : parameters_) {
    if (parameter.kind == Kind::kScale || parameter.kind == Kind::kWeight) {
      linears[parameter.linear] = settled_linear(parameter);
      set_block_tensor(parameter, linears[parameter.linear].rounded);
      continue;
    }
    const std::string name = checkpoint_name(parameter);
    const torch::Tensor rounded =
        parameter.value().to(model::to_scalar_type(run_.types.dtype_of(name)));
    set_block_tensor(parameter, rounded);
    tuned.tensors.emplace_back(name, rounded);
  }
  tuned.loss_after = loss();
  tuned.kept = tuned.loss_after < tuned.loss_before;
  if (tuned.kept) {
    linears_ = std::move(linears);
    return;
  }
  tuned.tensors.clear();
  for (const Parameter& parameter : parameters_) set_block_tensor(parameter, parameter.untuned);
}

}  // namespace

TunedBlock tune_block(const BlockTuning& run, std::vector<CompressedLinear>& linears) {
  ensure(!run.inputs.empty() && run.inputs.size() == run.targets.size(),
         "pipeline: a block is tuned without inputs, or with other targets than inputs");
  ensure(!linears.empty(), "pipeline: a block without compressed linears is tuned");
  const at::NoGradGuard no_grad;
  return Tuner(run, linears).tune();
}

}  // namespace sgpt_mi::pipeline

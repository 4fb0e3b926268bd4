#include "block_tuning.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::compress {
namespace {

// Adam's decay rates and epsilon as published.
constexpr double kMeanDecay = 0.9;
constexpr double kSquareDecay = 0.999;
constexpr double kEpsilon = 1e-8;

// How far the first step moves theta: see Tuned.
constexpr double kScaleRate = 1e-2;
constexpr double kLevelRate = 6e-2;
constexpr double kWeightRate = 2e-2;
constexpr double kBiasRate = 1e-2;
constexpr double kNormRate = 1e-2;

double root_mean_square(const torch::Tensor& values) {
  return values.to(torch::kFloat64).square().mean().sqrt().item<double>();
}

/// Size of a typical kept weight; 1 where there is none, and nothing to tune.
double weight_unit(const obs::CompressedMatrix& matrix) {
  const auto energy = matrix.weight.to(torch::kFloat64).square().sum().item<double>();
  const auto kept = at::count_nonzero(matrix.weight).item<std::int64_t>();
  return kept == 0 ? 1.0 : std::sqrt(energy / static_cast<double>(kept));
}

/// One of `steps` steps of Adam.
struct AdamStep {
  double rate_share;    ///< of the first step's rate
  double mean_share;    ///< 1 - kMeanDecay^step, step from 1
  double square_share;  ///< 1 - kSquareDecay^step
};

AdamStep adam_step(std::int64_t index, std::int64_t steps) {
  const auto done = static_cast<double>(index);
  return {1.0 - done / static_cast<double>(steps), 1.0 - std::pow(kMeanDecay, done + 1.0),
          1.0 - std::pow(kSquareDecay, done + 1.0)};
}

/// Numbers that Adam moves, from 0.
class Theta {
 public:
  Theta(const torch::Tensor& like, double rate)
      : rate_(rate),
        value_(at::zeros_like(like, torch::kFloat32)),
        mean_(at::zeros_like(value_)),
        square_(at::zeros_like(value_)) {}

  [[nodiscard]] const torch::Tensor& value() const { return value_; }

  void move(const torch::Tensor& gradient, const AdamStep& step) {
    mean_.lerp_(gradient, 1.0 - kMeanDecay);
    square_.mul_(kSquareDecay).addcmul_(gradient, gradient, 1.0 - kSquareDecay);
    const torch::Tensor size = (square_ / step.square_share).sqrt_().add_(kEpsilon);
    value_.addcdiv_(mean_, size, -rate_ * step.rate_share / step.mean_share);
  }

 private:
  double rate_;
  torch::Tensor value_;
  torch::Tensor mean_;
  torch::Tensor square_;
};

/// A tensor of the block that is tuned.
class Tuned {
 public:
  virtual ~Tuned() = default;
  /// As theta makes it at present, float32.
  [[nodiscard]] virtual torch::Tensor value() const = 0;
  /// Moves theta by the gradient, float32, with respect to value().
  virtual void move(const torch::Tensor& gradient, const AdamStep& step) = 0;
};

/// start + unit * theta, where nothing is pruned.
class TunedValues : public Tuned {
 public:
  /// \param unit    size of a typical value.
  /// \param pruned  what stays 0; undefined: nothing does.
  TunedValues(const torch::Tensor& start, double unit, double rate, torch::Tensor pruned = {})
      : start_(start.to(torch::kFloat32)),
        unit_(unit),
        pruned_(std::move(pruned)),
        theta_(start_, rate) {}

  [[nodiscard]] torch::Tensor value() const override { return start_ + unit_ * theta_.value(); }

  void move(const torch::Tensor& gradient, const AdamStep& step) override {
    const torch::Tensor scaled = gradient * unit_;
    theta_.move(pruned_.defined() ? scaled.masked_fill(pruned_, 0.0) : scaled, step);
  }

 private:
  torch::Tensor start_;
  double unit_;
  torch::Tensor pruned_;
  Theta theta_;
};

/// Values of codes: scale * level, level = code - zero point, 0 where pruned. A scale is start *
/// exp(theta) and so stays positive. A level is the integer nearest to start + theta within the
/// codes' range, whose gradient counts as that of start + theta itself (the straight-through
/// estimator: Bengio et al. 2013, arXiv 1308.3432).
class TunedCodes : public Tuned {
 public:
  explicit TunedCodes(const obs::CompressedMatrix& matrix)
      : matrix_(matrix),
        zero_(over_columns(matrix.zero_point)),
        start_(matrix.codes.to(torch::kFloat32).sub_(zero_).masked_fill_(matrix.pruned, 0.0)),
        scale_theta_(matrix.scale, kScaleRate),
        level_theta_(start_, kLevelRate) {
    std::vector<float> largest;
    for (const int bits : matrix.bits_of_group) {
      largest.push_back(static_cast<float>((1 << bits) - 1));
    }
    largest_ = over_columns(at::tensor(largest).to(zero_.device()).unsqueeze(0)) - zero_;
  }

  [[nodiscard]] torch::Tensor value() const override {
    return levels().mul_(over_columns(scale()));
  }

  void move(const torch::Tensor& gradient, const AdamStep& step) override {
    const torch::Tensor to_scale = sum_over_grids(gradient * levels()).mul_(scale());
    const torch::Tensor to_level = gradient * over_columns(scale());
    scale_theta_.move(to_scale, step);
    level_theta_.move(to_level.masked_fill_(matrix_.pruned, 0.0), step);
  }

  /// The matrix with its present codes and with scales as they are stored.
  [[nodiscard]] obs::CompressedMatrix settled() const {
    obs::CompressedMatrix matrix = matrix_;
    matrix.scale = scale();
    if (matrix.scale_exponent) quant::round_to_stored(matrix.scale, *matrix.scale_exponent);
    const torch::Tensor codes = (levels() + zero_).to(torch::kUInt8);
    matrix.codes = at::where(matrix.pruned, matrix.codes, codes);
    matrix.weight = levels().mul_(over_columns(matrix.scale));
    return matrix;
  }

 private:
  [[nodiscard]] torch::Tensor scale() const { return matrix_.scale * scale_theta_.value().exp(); }

  [[nodiscard]] torch::Tensor levels() const {
    const torch::Tensor level = (start_ + level_theta_.value()).round_();
    return at::minimum(at::maximum(level, -zero_), largest_).masked_fill_(matrix_.pruned, 0.0);
  }

  /// One value a grid, for every column of it: of (rows, G) or (1, G) to (rows or 1, N or 1).
  [[nodiscard]] torch::Tensor over_columns(const torch::Tensor& per_grid) const {
    if (per_grid.size(1) == 1) return per_grid;
    return per_grid.index_select(1, matrix_.group_of_column);
  }

  /// Sums (rows, N) over all values that share a scale.
  [[nodiscard]] torch::Tensor sum_over_grids(const torch::Tensor& values) const {
    const torch::Tensor& scale = matrix_.scale;
    const torch::Tensor rows = scale.size(0) == 1 ? values.sum(0, /*keepdim=*/true) : values;
    if (scale.size(1) == 1) return rows.sum(1, /*keepdim=*/true);
    return at::zeros(scale.sizes(), scale.options()).index_add_(1, matrix_.group_of_column, rows);
  }

  obs::CompressedMatrix matrix_;
  torch::Tensor zero_;     // zero point for every column
  torch::Tensor start_;    // (rows, N) levels before
  torch::Tensor largest_;  // largest level for every column
  Theta scale_theta_;
  Theta level_theta_;
};

/// Where a tuned tensor stands in the block.
enum class Place : std::uint8_t { kWeight, kBias, kNorm };

struct Parameter {
  Place place;
  std::string short_name;  ///< of the norm's tensor, or of the linear
  std::size_t linear = 0;  ///< index of the linear
  torch::Tensor untuned;   ///< the block's tensor before
  std::unique_ptr<Tuned> tuned;
};

class Tuner {
 public:
  Tuner(const BlockTuning& run, std::vector<CompressedLinear>& linears)
      : run_(run), linears_(linears) {
    measure_targets();
    for (std::size_t i = 0; i < linears_.size(); ++i) add_linear(i);
    add_norms();
  }

  [[nodiscard]] TunedBlock tune() {
    TunedBlock result;
    result.loss_before = loss();
    error_size_ = std::sqrt(result.loss_before * energy_ / static_cast<double>(values_));
    result.loss_after = result.loss_before;
    if (error_size_ == 0.0) return result;
    for (std::int64_t i = 0; i < run_.steps; ++i) {
      check_interrupt();
      step(i);
    }
    settle(result);
    return result;
  }

 private:
  void measure_targets();
  void add_linear(std::size_t index);
  void add_norms();
  [[nodiscard]] torch::Tensor block_tensor(const Parameter& parameter) const;
  void set_block_tensor(const Parameter& parameter, const torch::Tensor& value);
  [[nodiscard]] double loss() const;
  [[nodiscard]] std::vector<torch::Tensor> gradients(std::size_t batch);
  void step(std::int64_t index);
  void settle(TunedBlock& result);
  [[nodiscard]] CompressedLinear settled_linear(const Parameter& parameter) const;
  [[nodiscard]] std::string checkpoint_name(const Parameter& parameter) const;

  const BlockTuning& run_;
  std::vector<CompressedLinear>& linears_;
  std::vector<Parameter> parameters_;
  double energy_ = 0.0;      // of all targets
  std::int64_t values_ = 0;  // in all targets
  double error_size_ = 0.0;  // root mean square of the errors before
};

void Tuner::measure_targets() {
  for (std::size_t i = 0; i < run_.targets.size(); ++i) {
    const torch::Tensor target = run_.targets[i];
    energy_ += target.to(torch::kFloat32).square().sum(torch::kFloat64).item<double>();
    values_ += target.numel();
  }
}

void Tuner::add_linear(std::size_t index) {
  const obs::CompressedMatrix& matrix = linears_[index].matrix;
  const std::string& name = linears_[index].linear.short_name;
  const double unit = weight_unit(matrix);
  std::unique_ptr<Tuned> weight;
  if (matrix.codes.defined()) {
    weight = std::make_unique<TunedCodes>(matrix);
  } else {
    weight = std::make_unique<TunedValues>(matrix.weight, unit, kWeightRate, matrix.pruned);
  }
  parameters_.push_back({Place::kWeight, name, index, run_.block.weight(name), std::move(weight)});
  const std::optional<torch::Tensor> bias = run_.block.bias(name);
  if (!bias) return;
  // A bias is the weight of an input that is always 1.
  parameters_.push_back(
      {Place::kBias, name, index, *bias, std::make_unique<TunedValues>(*bias, unit, kBiasRate)});
}

void Tuner::add_norms() {
  for (int site = 0; site < model::kSites; ++site) {
    double unit = 0.0;  // of the norm's weight, also for its bias
    for (const model::NamedTensor& norm : run_.block.norm_before(static_cast<model::Site>(site))) {
      if (unit == 0.0) unit = root_mean_square(norm.value);
      parameters_.push_back({Place::kNorm, norm.short_name, 0, norm.value,
                             std::make_unique<TunedValues>(norm.value, unit, kNormRate)});
    }
  }
}

/// The block's own tensor.
torch::Tensor Tuner::block_tensor(const Parameter& parameter) const {
  if (parameter.place == Place::kBias) return *run_.block.bias(parameter.short_name);
  if (parameter.place == Place::kWeight) return run_.block.weight(parameter.short_name);
  for (int site = 0; site < model::kSites; ++site) {
    for (model::NamedTensor& norm : run_.block.norm_before(static_cast<model::Site>(site))) {
      if (norm.short_name == parameter.short_name) return std::move(norm.value);
    }
  }
  fail(ErrorKind::kInternal, "pipeline: a block lost its {}", parameter.short_name);
}

void Tuner::set_block_tensor(const Parameter& parameter, const torch::Tensor& value) {
  switch (parameter.place) {
    case Place::kWeight:
      return run_.block.set_weight(parameter.short_name, value);
    case Place::kBias:
      return run_.block.set_bias(parameter.short_name, value);
    case Place::kNorm:
      return run_.block.set_norm({parameter.short_name, value});
  }
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
    set_block_tensor(parameter, parameter.tuned->value());
    tensors.push_back(block_tensor(parameter).requires_grad_(true));
  }
  const at::AutoGradMode with_gradients(true);
  const torch::Tensor output = run_.block.forward(run_.inputs[batch]);
  const std::int64_t tokens = output.numel() / output.size(-1);
  const torch::Tensor error =
      output.detach().to(torch::kFloat32) - run_.targets[batch].to(torch::kFloat32);
  const torch::Tensor at_output =
      (error / (error_size_ * std::sqrt(static_cast<double>(tokens)))).to(output.scalar_type());
  return torch::autograd::grad({output}, tensors, {at_output});
}

void Tuner::step(std::int64_t index) {
  const std::vector<torch::Tensor> found =
      gradients(static_cast<std::size_t>(index) % run_.inputs.size());
  const AdamStep step = adam_step(index, run_.steps);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].tuned->move(found[i].to(torch::kFloat32), step);
  }
}

/// The linear of a weight with its present value, as it is saved.
CompressedLinear Tuner::settled_linear(const Parameter& parameter) const {
  CompressedLinear linear = linears_[parameter.linear];
  if (const auto* codes = dynamic_cast<const TunedCodes*>(parameter.tuned.get())) {
    linear.matrix = codes->settled();
  } else {
    linear.matrix.weight = parameter.tuned->value();
  }
  linear.rounded = linear.matrix.weight.to(linear.rounded.scalar_type());
  return linear;
}

std::string Tuner::checkpoint_name(const Parameter& parameter) const {
  const model::LinearInfo& linear = linears_[parameter.linear].linear;
  if (parameter.place == Place::kBias) return linear.name + ".bias";
  return linear.name.substr(0, linear.name.size() - linear.short_name.size()) +
         parameter.short_name;
}

/// Rounds everything, and takes it or leaves all as it was.
void Tuner::settle(TunedBlock& result) {
  std::vector<CompressedLinear> linears = linears_;
  for (const Parameter& parameter : parameters_) {
    if (parameter.place == Place::kWeight) {
      linears[parameter.linear] = settled_linear(parameter);
      set_block_tensor(parameter, linears[parameter.linear].rounded);
      continue;
    }
    const std::string name = checkpoint_name(parameter);
    const torch::Tensor rounded =
        parameter.tuned->value().to(model::to_scalar_type(run_.types.dtype_of(name)));
    set_block_tensor(parameter, rounded);
    result.tensors.emplace_back(name, rounded);
  }
  result.loss_after = loss();
  result.kept = result.loss_after < result.loss_before;
  if (result.kept) {
    linears_ = std::move(linears);
    return;
  }
  result.tensors.clear();
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

}  // namespace sgpt_mi::compress

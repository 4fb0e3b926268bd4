#include <cmath>
#include <cstring>
#include <numbers>

#include "gguf_model.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::gguf {
namespace {

/// The llama3 rule (transformers, modeling_rope_utils.py, _compute_llama3_parameters).
struct Llama3Scaling {
  double factor = 1.0;
  double low_freq_factor = 1.0;   // of every published model
  double high_freq_factor = 4.0;  // of every published model
  double original_positions = 8192.0;

  /// What the frequency theta^(-2 i / dimensions) is divided by.
  [[nodiscard]] double divisor(double theta, double i, double dimensions) const {
    const double wavelength = 2.0 * std::numbers::pi * std::pow(theta, 2.0 * i / dimensions);
    const double turns = original_positions / wavelength;  // within the original context
    if (turns > high_freq_factor) return 1.0;
    if (turns < low_freq_factor) return factor;
    const double smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
    return 1.0 / ((1.0 - smooth) / factor + smooth);
  }
};

/// Finds the llama3 parameters that give these divisors; GGUF stores the divisors alone.
nlohmann::json scaling_from_divisors(const GgufMetadata& metadata, const std::string& architecture,
                                     const GgufTensor& freqs) {
  if (freqs.type->name != "F32") {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has type {}; F32 was expected", metadata.label(),
         freqs.name, freqs.type->name);
  }
  std::vector<float> divisors(freqs.bytes.size() / sizeof(float));
  std::memcpy(divisors.data(), freqs.bytes.data(), divisors.size() * sizeof(float));
  const double theta = metadata.real(architecture + ".rope.freq_base").value_or(10000.0);
  const auto dimensions = static_cast<double>(2 * divisors.size());
  Llama3Scaling scaling;
  scaling.factor = divisors.back();  // the slowest frequency is divided by the whole factor
  if (const auto original =
          metadata.whole(architecture + ".rope.scaling.original_context_length")) {
    scaling.original_positions = static_cast<double>(*original);
  }
  bool scales = false;
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double expected = scaling.divisor(theta, static_cast<double>(i), dimensions);
    // Stored as float32 after a computation in float32: some units of 1e-7, far from 1e-4.
    if (!(std::abs(divisors[i] - expected) <= 1e-4 * expected)) {
      fail(ErrorKind::kInput,
           "io: {}: '{}' divides frequency {} by {}, but llama3 scaling with factor {} would "
           "divide it by {}; only llama3 scaling is read from this tensor",
           metadata.label(), freqs.name, i, divisors[i], scaling.factor, expected);
    }
    scales = scales || expected != 1.0;
  }
  if (!scales) return nullptr;
  return {
      {"rope_type", "llama3"},
      {"factor", scaling.factor},
      {"low_freq_factor", scaling.low_freq_factor},
      {"high_freq_factor", scaling.high_freq_factor},
      {"original_max_position_embeddings", static_cast<std::int64_t>(scaling.original_positions)}};
}

}  // namespace

nlohmann::json gguf_rope_scaling(const GgufMetadata& metadata, const std::string& architecture,
                                 const GgufTensor* freqs) {
  const std::string prefix = architecture + ".rope.";
  const std::string type = metadata.text(prefix + "scaling.type").value_or("none");
  if (type != "none" && type != "linear") {
    fail(ErrorKind::kInput,
         "io: {}: rope scaling '{}' is not read; none, linear or llama3 expected", metadata.label(),
         type);
  }
  // Files without a type say the linear factor alone, older ones under another name.
  const double linear = metadata.real(prefix + "scaling.factor")
                            .value_or(metadata.real(prefix + "scale_linear").value_or(1.0));
  const bool is_linear = linear != 1.0 && linear != 0.0;  // 0 stands for none, too
  if (is_linear && freqs != nullptr) {
    fail(ErrorKind::kInput, "io: {}: linear rope scaling together with '{}' is not read",
         metadata.label(), freqs->name);
  }
  if (is_linear) return {{"rope_type", "linear"}, {"factor", linear}};
  if (freqs != nullptr) return scaling_from_divisors(metadata, architecture, *freqs);
  return nullptr;
}

}  // namespace sgpt_mi::gguf

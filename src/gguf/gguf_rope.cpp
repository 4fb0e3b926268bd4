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

/// Members of config.json's yarn scaling beside factor and original positions, which may be absent,
/// and the keys that hold them.
constexpr std::pair<const char*, const char*> kYarnNumbers[] = {
    {"extrapolation_factor", "scaling.yarn_ext_factor"},
    {"attention_factor", "scaling.yarn_attn_factor"},
    {"beta_fast", "scaling.yarn_beta_fast"},
    {"beta_slow", "scaling.yarn_beta_slow"}};

nlohmann::json yarn_scaling(const GgufMetadata& metadata, const std::string& prefix) {
  nlohmann::json scaling = {{"rope_type", "yarn"},
                            {"factor", metadata.real(prefix + "scaling.factor").value_or(1.0)}};
  if (const auto original = metadata.whole(prefix + "scaling.original_context_length")) {
    scaling["original_max_position_embeddings"] = *original;
  }
  for (const auto& [member, key] : kYarnNumbers) {
    if (const auto value = metadata.real(prefix + key)) scaling[member] = *value;
  }
  return scaling;
}

/// The members of rope_scaling or rope_parameters; an empty object when there is neither.
nlohmann::json rope_members(const nlohmann::json& config) {
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(name);
    if (found != config.end() && found->is_object()) return *found;
  }
  return nlohmann::json::object();
}

double rope_number(const nlohmann::json& rope, const char* name) {
  const auto found = rope.find(name);
  if (found == rope.end() || !found->is_number()) {
    fail(ErrorKind::kInput, "format: the rope scaling of config.json has no number \"{}\"", name);
  }
  return found->get<double>();
}

void add_original_positions(const nlohmann::json& rope, const std::string& prefix,
                            MetadataBuilder& metadata) {
  metadata.whole(prefix + "scaling.original_context_length",
                 static_cast<std::uint32_t>(rope_number(rope, "original_max_position_embeddings")));
}

void add_yarn(const nlohmann::json& rope, const std::string& prefix, MetadataBuilder& metadata) {
  metadata.text(prefix + "scaling.type", "yarn");
  metadata.real(prefix + "scaling.factor", static_cast<float>(rope_number(rope, "factor")));
  add_original_positions(rope, prefix, metadata);
  for (const auto& [member, key] : kYarnNumbers) {
    const auto found = rope.find(member);
    if (found == rope.end() || found->is_null()) continue;
    metadata.real(prefix + key, static_cast<float>(rope_number(rope, member)));
  }
}

std::vector<float> llama3_divisors(const nlohmann::json& rope, double theta,
                                   std::int64_t head_dim) {
  Llama3Scaling scaling;
  const double low = rope_number(rope, "low_freq_factor");
  const double high = rope_number(rope, "high_freq_factor");
  if (low != scaling.low_freq_factor || high != scaling.high_freq_factor) {
    fail(ErrorKind::kInput,
         "format: llama3 rope scaling with the frequency factors {} and {}; a GGUF file does not "
         "say them, and 1 and 4 are understood",
         low, high);
  }
  scaling.factor = rope_number(rope, "factor");
  scaling.original_positions = rope_number(rope, "original_max_position_embeddings");
  std::vector<float> divisors;
  for (std::int64_t i = 0; i < head_dim / 2; ++i) {
    divisors.push_back(static_cast<float>(
        scaling.divisor(theta, static_cast<double>(i), static_cast<double>(head_dim))));
  }
  return divisors;
}

}  // namespace

std::vector<float> add_rope(const nlohmann::json& config, const std::string& architecture,
                            std::int64_t head_dim, MetadataBuilder& metadata) {
  const std::string prefix = architecture + ".rope.";
  const nlohmann::json rope = rope_members(config);
  double theta = 10000.0;
  for (const nlohmann::json* object : {&config, &rope}) {
    const auto found = object->find("rope_theta");
    if (found != object->end() && found->is_number()) theta = found->get<double>();
  }
  const std::string type = rope.value("rope_type", rope.value("type", std::string("default")));
  metadata.whole(prefix + "dimension_count", static_cast<std::uint32_t>(head_dim));
  metadata.real(prefix + "freq_base", static_cast<float>(theta));
  if (type == "default") return {};
  if (type == "linear") {
    metadata.text(prefix + "scaling.type", "linear");
    metadata.real(prefix + "scaling.factor", static_cast<float>(rope_number(rope, "factor")));
    return {};
  }
  if (type == "yarn") {
    add_yarn(rope, prefix, metadata);
    return {};
  }
  if (type == "llama3") {
    add_original_positions(rope, prefix, metadata);
    return llama3_divisors(rope, theta, head_dim);
  }
  fail(ErrorKind::kInput,
       "format: llama.cpp has no '{}' rope scaling; linear, yarn and llama3 can be written", type);
}

nlohmann::json gguf_rope_scaling(const GgufMetadata& metadata, const std::string& architecture,
                                 const GgufTensor* freqs) {
  const std::string prefix = architecture + ".rope.";
  const std::string type = metadata.text(prefix + "scaling.type").value_or("none");
  if (type == "yarn") return yarn_scaling(metadata, prefix);
  if (type != "none" && type != "linear") {
    fail(ErrorKind::kInput,
         "io: {}: rope scaling '{}' is not read; none, linear, yarn or llama3 expected",
         metadata.label(), type);
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

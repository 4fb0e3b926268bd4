#include <cmath>
#include <cstring>
#include <numbers>

#include "gguf_model.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/hf_config/transformers_defaults.h"

namespace sgpt_mi::gguf {
namespace {

using hf_config::yarn_magnitude;

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

/// The numbers of yarn that a file and config.json share, under their names.
constexpr std::pair<const char*, const char*> kYarnBetas[] = {
    {"beta_fast", "scaling.yarn_beta_fast"}, {"beta_slow", "scaling.yarn_beta_slow"}};

/// llama.cpp multiplies the usual magnitude by "attn_factor". "yarn_attn_factor", where llama.cpp's
/// converter puts config.json's attention_factor, says the whole magnitude.
std::optional<double> yarn_attention(const GgufMetadata& metadata, const std::string& prefix,
                                     double factor) {
  if (const auto times = metadata.real(prefix + "scaling.attn_factor")) {
    return *times * yarn_magnitude(factor);
  }
  return metadata.real(prefix + "scaling.yarn_attn_factor");
}

nlohmann::json yarn_scaling(const GgufMetadata& metadata, const std::string& prefix) {
  const double written = metadata.real(prefix + "scaling.factor").value_or(0.0);
  const double factor = written == 0.0 ? 1.0 : written;
  // Negative: not set.
  const double extrapolation = metadata.real(prefix + "scaling.yarn_ext_factor").value_or(-1.0);
  if (extrapolation >= 0.0 && extrapolation != 1.0) {
    fail(ErrorKind::kInput, "io: {}: metadata '{}' is {}; only 1 is read", metadata.label(),
         prefix + "scaling.yarn_ext_factor", extrapolation);
  }
  nlohmann::json scaling = {{"rope_type", "yarn"}, {"factor", factor}};
  if (const auto original = metadata.whole(prefix + "scaling.original_context_length")) {
    scaling["original_max_position_embeddings"] = *original;
  }
  if (const auto attention = yarn_attention(metadata, prefix, factor)) {
    scaling["attention_factor"] = *attention;
  }
  for (const auto& [member, key] : kYarnBetas) {
    if (const auto value = metadata.real(prefix + key)) scaling[member] = *value;
  }
  return scaling;
}

/// The members of rope_scaling, or of rope_parameters beside which there is none; an empty object
/// when there is neither.
nlohmann::json rope_members(const nlohmann::json& config) {
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(name);
    if (found != config.end() && found->is_object() && !found->empty()) return *found;
  }
  return nlohmann::json::object();
}

std::optional<double> number_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

double rope_number(const nlohmann::json& rope, const char* name) {
  const std::optional<double> value = number_of(rope, name);
  if (!value) {
    fail(ErrorKind::kInput, "format: config.json, or its rope scaling, has no number \"{}\"", name);
  }
  return *value;
}

/// Positions before the extension, where transformers looks for them.
double original_positions(const nlohmann::json& config, const nlohmann::json& rope) {
  constexpr const char* kName = "original_max_position_embeddings";
  if (const auto outside = number_of(config, kName)) return *outside;
  if (const auto inside = number_of(rope, kName)) return *inside;
  return number_of(config, "max_position_embeddings").value_or(0.0);
}

/// config.json's attention_factor, or what transformers makes of its other members.
double attention_factor(const nlohmann::json& rope, double factor) {
  if (const auto value = number_of(rope, "attention_factor")) return *value;
  const double mscale = number_of(rope, "mscale").value_or(0.0);
  const double all = number_of(rope, "mscale_all_dim").value_or(0.0);
  if (mscale == 0.0 || all == 0.0) return yarn_magnitude(factor);
  return yarn_magnitude(factor, mscale) / yarn_magnitude(factor, all);
}

void add_yarn(const nlohmann::json& config, const nlohmann::json& rope, const std::string& prefix,
              MetadataBuilder& metadata) {
  if (rope.value("truncate", nlohmann::json(true)) == false) {
    fail(ErrorKind::kInput,
         "format: yarn with \"truncate\": false; llama.cpp always truncates, and a GGUF file "
         "cannot say otherwise");
  }
  const double original = original_positions(config, rope);
  const auto written = number_of(rope, "factor");
  const double factor =  // null stands for the ratio of positions
      written ? *written : rope_number(config, "max_position_embeddings") / original;
  metadata.text(prefix + "scaling.type", "yarn");
  metadata.real(prefix + "scaling.factor", static_cast<float>(factor));
  metadata.whole(prefix + "scaling.original_context_length", static_cast<std::uint32_t>(original));
  const double attention = attention_factor(rope, factor);
  if (attention != yarn_magnitude(factor)) {
    metadata.real(prefix + "scaling.attn_factor",
                  static_cast<float>(attention / yarn_magnitude(factor)));
  }
  for (const auto& [member, key] : kYarnBetas) {
    const double beta = number_of(rope, member).value_or(0.0);
    if (beta != 0.0) metadata.real(prefix + key, static_cast<float>(beta));  // 0: the usual
  }
}

/// "type" is the older spelling; null is none.
std::string rope_type(const nlohmann::json& rope) {
  for (const char* name : {"rope_type", "type"}) {
    const auto found = rope.find(name);
    if (found != rope.end() && found->is_string()) return found->get<std::string>();
  }
  return "default";
}

std::vector<float> llama3_divisors(const nlohmann::json& rope, double original, double theta,
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
  scaling.original_positions = original;
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
  const double theta =
      number_of(rope, "rope_theta")
          .value_or(number_of(config, "rope_theta").value_or(hf_config::kRopeTheta));
  const std::string type = rope_type(rope);
  metadata.whole(prefix + "dimension_count", static_cast<std::uint32_t>(head_dim));
  metadata.real(prefix + "freq_base", static_cast<float>(theta));
  if (type == "default") return {};
  if (type == "linear") {
    metadata.text(prefix + "scaling.type", "linear");
    metadata.real(prefix + "scaling.factor", static_cast<float>(rope_number(rope, "factor")));
    return {};
  }
  if (type == "yarn") {
    add_yarn(config, rope, prefix, metadata);
    return {};
  }
  if (type == "llama3") {
    const double original = original_positions(config, rope);
    metadata.whole(prefix + "scaling.original_context_length",
                   static_cast<std::uint32_t>(original));
    return llama3_divisors(rope, original, theta, head_dim);
  }
  fail(ErrorKind::kInput,
       "format: llama.cpp has no '{}' rope scaling; linear, yarn and llama3 can be written", type);
}

nlohmann::json gguf_rope_scaling(const GgufMetadata& metadata, const std::string& architecture,
                                 const GgufTensor* freqs) {
  const std::string prefix = architecture + ".rope.";
  // llama.cpp's default: files without a type say the linear factor alone.
  const std::string type = metadata.text(prefix + "scaling.type").value_or("linear");
  if (type != "none" && type != "linear" && type != "yarn") {
    fail(ErrorKind::kInput,
         "io: {}: rope scaling '{}' is not read; none, linear, yarn or llama3 expected",
         metadata.label(), printable(type));
  }
  // Older files have the factor under another name; 0 stands for none, too.
  const double linear = metadata.real(prefix + "scaling.factor")
                            .value_or(metadata.real(prefix + "scale_linear").value_or(1.0));
  const bool is_linear = type == "linear" && linear != 1.0 && linear != 0.0;
  if ((is_linear || type == "yarn") && freqs != nullptr) {
    fail(ErrorKind::kInput, "io: {}: {} rope scaling together with '{}' is not read",
         metadata.label(), type, freqs->name);
  }
  if (type == "yarn") return yarn_scaling(metadata, prefix);
  if (is_linear) return {{"rope_type", "linear"}, {"factor", linear}};
  if (freqs != nullptr) return scaling_from_divisors(metadata, architecture, *freqs);
  return nullptr;
}

}  // namespace sgpt_mi::gguf

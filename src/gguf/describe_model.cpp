#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "gguf_model.h"
#include "gguf_names.h"
#include "metadata_builder.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/hf_config/transformers_defaults.h"

namespace sgpt_mi::gguf {
namespace {

/// What transformers takes for members that config.json leaves out.
const hf_config::ModelDefaults& defaults_of(const nlohmann::json& config) {
  const std::string type = config.value("model_type", std::string());
  if (const hf_config::ModelDefaults* found = hf_config::find_defaults(type)) return *found;
  fail(ErrorKind::kUsage,
       "format: llama.cpp has no models of type '{}', so there is no GGUF file of one; use "
       "--format gptq, compressed-tensors, packed or hf",
       type);
}

/// llama.cpp computes Mistral as LLaMA and calls the others as transformers does.
std::string architecture_of(const nlohmann::json& config) {
  const std::string_view type = defaults_of(config).model_type;
  return std::string(type == "mistral" ? "llama" : type);
}

/// A whole number of config.json, positive.
std::int64_t config_size(const nlohmann::json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end() || !found->is_number_integer() || *found <= 0) {
    fail(ErrorKind::kInput, "format: config.json has no positive whole number \"{}\"", name);
  }
  return found->get<std::int64_t>();
}

std::int64_t config_size_or(const nlohmann::json& config, const char* name,
                            std::int64_t otherwise) {
  const auto found = config.find(name);
  return found == config.end() || found->is_null() ? otherwise : config_size(config, name);
}

std::int64_t config_head_dim(const nlohmann::json& config) {
  const std::int64_t known = defaults_of(config).head_dim;
  const std::int64_t share =
      config_size(config, "hidden_size") / config_size(config, "num_attention_heads");
  return config_size_or(config, "head_dim", known > 0 ? known : share);
}

std::int64_t config_kv_heads(const nlohmann::json& config) {
  const std::int64_t heads = config_size(config, "num_attention_heads");
  const std::int64_t known = defaults_of(config).kv_heads;
  const bool absent = !config.contains("num_key_value_heads") && known > 0;
  return config_size_or(config, "num_key_value_heads", absent ? known : heads);
}

double config_real_or(const nlohmann::json& config, const char* name, double otherwise) {
  const auto found = config.find(name);
  return found != config.end() && found->is_number() ? found->get<double>() : otherwise;
}

bool config_flag(const nlohmann::json& config, const char* name) {
  const auto found = config.find(name);
  return found != config.end() && found->is_boolean() && found->get<bool>();
}

/// Positions; LLaMA's first configs have them as max_sequence_length.
std::int64_t config_positions(const nlohmann::json& config) {
  const std::int64_t otherwise =
      config_size_or(config, "max_sequence_length", defaults_of(config).positions);
  return config_size_or(config, "max_position_embeddings", otherwise);
}

/// The size of a window that is said with null for none; transformers' default where it is absent.
std::int64_t config_window(const nlohmann::json& config) {
  return config.contains("sliding_window") ? config_size_or(config, "sliding_window", 0)
                                           : hf_config::kSlidingWindow;
}

/// Layers that slide, of those that config.json has.
std::int64_t sliding_layers(const nlohmann::json& config) {
  const bool mistral = config["model_type"] == "mistral";
  if (!mistral && !config_flag(config, "use_sliding_window")) return 0;
  const nlohmann::json types = config.value("layer_types", nlohmann::json());
  if (types.is_array()) return std::count(types.begin(), types.end(), "sliding_attention");
  const std::int64_t layers = config_size(config, "num_hidden_layers");
  if (mistral) return layers;
  const auto full = config.find("max_window_layers");
  const bool said = full != config.end() && full->is_number_integer();
  return std::max<std::int64_t>(
      layers - (said ? full->get<std::int64_t>() : hf_config::kMaxWindowLayers), 0);
}

/// The window of Mistral, which "llama" has a key for; 0: none. Others have theirs refused, unless
/// no text can be longer.
std::int64_t sliding_window(const nlohmann::json& config) {
  const std::int64_t sliding = sliding_layers(config);
  const std::int64_t window = sliding > 0 ? config_window(config) : 0;
  if (window == 0 || window >= config_positions(config)) return 0;
  if (config["model_type"] != "mistral" || sliding < config_size(config, "num_hidden_layers")) {
    fail(ErrorKind::kInput,
         "format: llama.cpp has no sliding window of {} for this model; a GGUF file cannot say it",
         window);
  }
  return window;
}

void refuse_other_arithmetic(const nlohmann::json& config) {
  const auto found = config.find("hidden_act");
  if (found == config.end() || found->is_null() || *found == "silu" || *found == "swish") return;
  fail(ErrorKind::kInput, "format: llama.cpp computes silu and not {} in such models",
       found->dump());
}

void add_sizes(const nlohmann::json& config, const std::string& architecture,
               MetadataBuilder& metadata) {
  const auto whole = [&](const char* key, std::int64_t value) {
    metadata.whole(architecture + "." + key, static_cast<std::uint32_t>(value));
  };
  whole("block_count", config_size(config, "num_hidden_layers"));
  whole("context_length", config_positions(config));
  whole("embedding_length", config_size(config, "hidden_size"));
  whole("feed_forward_length", config_size(config, "intermediate_size"));
  whole("attention.head_count", config_size(config, "num_attention_heads"));
  whole("attention.head_count_kv", config_kv_heads(config));
  whole("attention.key_length", config_head_dim(config));
  whole("attention.value_length", config_head_dim(config));
  metadata.real(architecture + ".attention.layer_norm_rms_epsilon",
                static_cast<float>(config_real_or(config, "rms_norm_eps", hf_config::kRmsNormEps)));
  whole("vocab_size", config_size(config, "vocab_size"));
}

/// The name in the file; nothing for a tensor that is left out: frequencies that follow from the
/// config, and a head beside embeddings that are the head. Throws Error(kInput) for others that
/// llama.cpp has no place for.
std::optional<std::string> slot_name(const containers::TensorInfo& info, bool tied,
                                     bool has_embeddings) {
  if (info.name.ends_with("rotary_emb.inv_freq")) return std::nullopt;
  if (tied && info.name == "lm_head.weight") {
    // Some checkpoints keep the one matrix under this name alone.
    return has_embeddings ? std::nullopt : gguf_name("embed_tokens.weight");
  }
  std::optional<std::string> name = gguf_name(info.name);
  if (!name || info.shape.empty() || info.shape.size() > 2) {
    fail(ErrorKind::kInput, "format: llama.cpp has no place for the tensor '{}'", info.name);
  }
  return name;
}

/// Heads whose rows are stored as pairs, of the tensor with this name and shape.
std::int64_t paired_heads_of(const GgufSlot& slot, const nlohmann::json& config,
                             const std::string& architecture) {
  const PairedRows rows = paired_rows(slot.name, architecture);
  if (rows == PairedRows::kNone) return 0;
  const std::int64_t result = rows == PairedRows::kQuery
                                  ? config_size(config, "num_attention_heads")
                                  : config_kv_heads(config);
  if (slot.shape.empty() || slot.shape.front() % (2 * result) != 0) {
    fail(ErrorKind::kInput, "format: tensor '{}' has rows that do not divide into {} heads",
         slot.source, result);
  }
  return result;
}

std::vector<GgufSlot> make_slots(const std::vector<containers::TensorInfo>& tensors,
                                 const nlohmann::json& config, const std::string& architecture) {
  const bool tied = config_flag(config, "tie_word_embeddings");
  const bool has_embeddings =
      std::any_of(tensors.begin(), tensors.end(), [](const containers::TensorInfo& info) {
        return info.name.ends_with("embed_tokens.weight");
      });
  std::vector<GgufSlot> slots;
  for (const containers::TensorInfo& info : tensors) {
    const std::optional<std::string> name = slot_name(info, tied, has_embeddings);
    if (!name) continue;
    GgufSlot slot{info.name, *name, info.shape};
    slot.paired_heads = paired_heads_of(slot, config, architecture);
    slots.push_back(std::move(slot));
  }
  return slots;
}

/// Whether the writer says this key itself, or not at all.
bool is_writers_key(const std::string& key) {
  constexpr std::array<std::string_view, 3> kKeys{
      "general.file_type", "general.quantization_version", "general.alignment"};
  return key.starts_with("split.") || std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

/// The divisors of a file's rope, verbatim.
std::vector<GgufExtra> rope_freqs_of(const GgufFile& file) {
  std::vector<GgufExtra> extras;
  for (const GgufTensor& tensor : file.tensors) {
    if (tensor.name != kRopeFreqs) continue;
    std::vector<float> values(tensor.bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(float));
    extras.push_back({tensor.name, std::move(values)});
  }
  return extras;
}

}  // namespace

GgufDescription describe_model(const nlohmann::json& config, const std::string& name,
                               const std::optional<tokenizer::GgufVocabulary>& vocabulary,
                               const std::vector<containers::TensorInfo>& tensors) {
  GgufDescription description;
  description.architecture = architecture_of(config);
  refuse_other_arithmetic(config);
  MetadataBuilder metadata;
  metadata.text("general.architecture", description.architecture);
  metadata.text("general.type", "model");
  metadata.text("general.name", name);
  add_sizes(config, description.architecture, metadata);
  const std::int64_t window = sliding_window(config);
  if (window > 0) {
    metadata.whole(description.architecture + ".attention.sliding_window",
                   static_cast<std::uint32_t>(window));
  }
  std::vector<float> divisors =
      add_rope(config, description.architecture, config_head_dim(config), metadata);
  add_vocabulary(vocabulary, static_cast<std::size_t>(config_size(config, "vocab_size")), metadata);
  description.entries = metadata.entries();
  description.metadata = metadata.bytes();
  description.slots = make_slots(tensors, config, description.architecture);
  if (!divisors.empty()) {
    description.extras.push_back({std::string(kRopeFreqs), std::move(divisors)});
  }
  return description;
}

GgufDescription describe_copy(const GgufFile& file, const nlohmann::json& config,
                              const std::vector<containers::TensorInfo>& tensors) {
  GgufDescription description;
  description.architecture = file.metadata.text("general.architecture").value_or("");
  MetadataBuilder metadata;
  for (const auto& [key, value] : file.metadata.values()) {
    if (!is_writers_key(key)) metadata.copy(key, value);
  }
  description.entries = metadata.entries();
  description.metadata = metadata.bytes();
  description.slots = make_slots(tensors, config, description.architecture);
  description.extras = rope_freqs_of(file);
  return description;
}

}  // namespace sgpt_mi::gguf

#include "gguf_model.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "gguf_names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::gguf {
namespace {

/// The model's hyper-parameters, with the keys of one architecture.
class Parameters {
 public:
  Parameters(const GgufMetadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  [[nodiscard]] std::string key(const char* name) const { return architecture_ + "." + name; }

  [[nodiscard]] std::optional<std::int64_t> find(const char* name) const {
    return metadata_.whole(key(name));
  }

  /// A size that must be there and positive.
  [[nodiscard]] std::int64_t size(const char* name) const {
    const std::optional<std::int64_t> value = find(name);
    if (!value) fail(ErrorKind::kInput, "io: {} lacks metadata '{}'", metadata_.label(), key(name));
    return positive(name, *value);
  }

  /// A size that must be positive if it is there.
  [[nodiscard]] std::int64_t size_or(const char* name, std::int64_t otherwise) const {
    return positive(name, find(name).value_or(otherwise));
  }

  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] const GgufMetadata& metadata() const { return metadata_; }

 private:
  [[nodiscard]] std::int64_t positive(const char* name, std::int64_t value) const {
    if (value <= 0) {
      fail(ErrorKind::kInput, "io: {}: metadata '{}' is {}; a positive number was expected",
           metadata_.label(), key(name), value);
    }
    return value;
  }

  const GgufMetadata& metadata_;
  std::string architecture_;
};

Parameters read_parameters(const GgufMetadata& metadata) {
  constexpr std::array<std::string_view, 3> kKnown{"llama", "qwen2", "qwen3"};
  const std::string architecture = metadata.text("general.architecture").value_or("");
  if (std::find(kKnown.begin(), kKnown.end(), architecture) == kKnown.end()) {
    fail(ErrorKind::kInput, "io: {} has architecture '{}'; llama, qwen2 or qwen3 expected",
         metadata.label(), printable(architecture));
  }
  Parameters parameters(metadata, architecture);
  if (parameters.find("expert_count").value_or(0) > 0) {
    fail(ErrorKind::kInput, "io: {} is a mixture of experts, which is not read", metadata.label());
  }
  return parameters;
}

/// The width of a head; rope must turn all of it and v must have the same.
std::int64_t head_width(const Parameters& parameters, std::int64_t hidden, std::int64_t heads) {
  const std::int64_t width =
      parameters.size_or("attention.key_length", std::max<std::int64_t>(hidden / heads, 1));
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    const std::int64_t other = parameters.size_or(name, width);
    if (other != width) {
      fail(ErrorKind::kInput, "io: {}: metadata '{}' is {}, but heads are {} wide: not supported",
           parameters.metadata().label(), parameters.key(name), other, width);
    }
  }
  return width;
}

/// config.json's keys for the sliding window, which GGUF files of "llama" use for Mistral.
void add_sliding_window(const Parameters& parameters, nlohmann::json& config) {
  const std::int64_t window = parameters.find("attention.sliding_window").value_or(0);
  if (window <= 0) return;
  if (parameters.architecture() != "llama") {
    fail(ErrorKind::kInput, "io: {}: a sliding window with architecture {} is not read",
         parameters.metadata().label(), parameters.architecture());
  }
  config["model_type"] = "mistral";  // LlamaConfig has no window
  config["sliding_window"] = window;
}

/// Everything of config.json that the metadata says; the tensors add the rest.
nlohmann::json make_config(const Parameters& parameters) {
  const GgufMetadata& metadata = parameters.metadata();
  const std::int64_t hidden = parameters.size("embedding_length");
  const std::int64_t heads = parameters.size("attention.head_count");
  nlohmann::json config = {
      {"model_type", parameters.architecture()},
      {"hidden_act", "silu"},
      {"hidden_size", hidden},
      {"intermediate_size", parameters.size("feed_forward_length")},
      {"num_hidden_layers", parameters.size("block_count")},
      {"num_attention_heads", heads},
      {"num_key_value_heads", parameters.size_or("attention.head_count_kv", heads)},
      {"head_dim", head_width(parameters, hidden, heads)},
      {"max_position_embeddings", parameters.size("context_length")},
      {"rms_norm_eps",
       metadata.real(parameters.key("attention.layer_norm_rms_epsilon")).value_or(1e-6)},
      {"rope_theta", metadata.real(parameters.key("rope.freq_base")).value_or(10000.0)},
      {"torch_dtype", "float16"}};
  add_sliding_window(parameters, config);
  for (const auto& [key, name] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token_id"),
                                  std::pair("tokenizer.ggml.eos_token_id", "eos_token_id")}) {
    if (const auto id = metadata.whole(key)) config[name] = *id;
  }
  return config;
}

/// Heads whose rows must be put back in order; 0: none.
std::int64_t paired_heads(const std::string& name, const nlohmann::json& config,
                          const std::string& architecture) {
  switch (paired_rows(name, architecture)) {
    case PairedRows::kQuery:
      return config["num_attention_heads"].get<std::int64_t>();
    case PairedRows::kKey:
      return config["num_key_value_heads"].get<std::int64_t>();
    case PairedRows::kNone:
      return 0;
  }
  return 0;
}

void check_paired(const GgufTensor& tensor, std::int64_t heads, const std::string& label) {
  // Of a vector (a bias) every element is a row, so that it cannot be packed in blocks.
  const bool row_in_block = tensor.shape.size() == 1 && tensor.type->block_elements > 1;
  if (tensor.shape.empty() || row_in_block || tensor.shape.front() % (2 * heads) != 0) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has rows that do not divide into {} heads", label,
         tensor.name, heads);
  }
}

GgufWeight translate_tensor(const GgufTensor& tensor, const nlohmann::json& config,
                            const Parameters& parameters) {
  const std::string& label = parameters.metadata().label();
  std::optional<std::string> name = hugging_face_name(tensor.name);
  if (!name) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' is not one of the LLaMA family's", label,
         tensor.name);
  }
  GgufWeight weight;
  weight.info = {*std::move(name), tensor.type->dtype.value_or(DType::kF32), tensor.shape};
  weight.type = tensor.type;
  weight.bytes = tensor.bytes;
  weight.paired_heads = paired_heads(tensor.name, config, parameters.architecture());
  if (weight.paired_heads > 0) check_paired(tensor, weight.paired_heads, label);
  return weight;
}

/// Where a file has biases. llama.cpp takes any of them where it finds them.
struct Biases {
  bool qkv = false;
  bool output = false;
  bool mlp = false;

  void note(const std::string& name) {
    if (!name.ends_with("_proj.bias")) return;
    bool& found = name.find(".mlp.") != std::string::npos ? mlp
                  : name.ends_with("o_proj.bias")         ? output
                                                          : qkv;
    found = true;
  }
};

/// config.json's members that say which biases there are.
void add_biases(const Biases& biases, nlohmann::json& config) {
  const std::string type = config["model_type"].get<std::string>();
  if (type == "qwen2") return;  // has its own without saying so
  if (type == "llama" && biases.qkv && !biases.output && !biases.mlp) {
    config["model_type"] = "qwen2";  // the same arithmetic, with biases of q, k and v alone
    return;
  }
  config["attention_bias"] = biases.qkv || biases.output;
  config["mlp_bias"] = biases.mlp;
}

}  // namespace

GgufModel translate_gguf(const GgufFile& file) {
  const Parameters parameters = read_parameters(file.metadata);
  GgufModel model;
  model.config = make_config(parameters);
  model.vocabulary = gguf_vocabulary(file.metadata);
  const GgufTensor* rope_freqs = nullptr;
  bool tied = true;
  Biases biases;
  for (const GgufTensor& tensor : file.tensors) {
    if (tensor.name == kRopeFreqs) {
      rope_freqs = &tensor;
      continue;
    }
    model.weights.push_back(translate_tensor(tensor, model.config, parameters));
    const containers::TensorInfo& info = model.weights.back().info;
    if (info.name == "model.embed_tokens.weight" && !info.shape.empty()) {
      model.config["vocab_size"] = info.shape.front();
    }
    tied = tied && info.name != "lm_head.weight";
    biases.note(info.name);
  }
  if (!model.config.contains("vocab_size")) {
    fail(ErrorKind::kInput, "io: {} lacks the tensor 'token_embd.weight'", file.metadata.label());
  }
  model.config["tie_word_embeddings"] = tied;
  add_biases(biases, model.config);
  model.config["rope_scaling"] =
      gguf_rope_scaling(file.metadata, parameters.architecture(), rope_freqs);
  return model;
}

std::vector<std::byte> unpaired_rows(const GgufWeight& weight) {
  const std::int64_t rows = weight.info.shape.front();
  const std::size_t row_bytes = weight.bytes.size() / static_cast<std::size_t>(rows);
  std::vector<std::byte> result(weight.bytes.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t place = unpaired_row(row, rows / weight.paired_heads);
    std::memcpy(result.data() + static_cast<std::size_t>(place) * row_bytes,
                weight.bytes.data() + static_cast<std::size_t>(row) * row_bytes, row_bytes);
  }
  return result;
}

std::vector<std::byte> unpack_weight(const GgufWeight& weight) {
  std::vector<std::byte> result(weight.info.bytes());
  const bool has_rows = weight.info.shape.size() > 1 || weight.paired_heads > 0;
  const std::int64_t rows = has_rows ? weight.info.shape.front() : 1;
  const std::int64_t row_blocks = weight.info.count() / weight.type->block_elements / rows;
  const std::int64_t head_rows = weight.paired_heads == 0 ? 0 : rows / weight.paired_heads;
  const auto packed_row = static_cast<std::size_t>(row_blocks * weight.type->block_bytes);
  const std::size_t result_row = result.size() / static_cast<std::size_t>(rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::byte* source = weight.bytes.data() + static_cast<std::size_t>(row) * packed_row;
    const std::int64_t place = head_rows == 0 ? row : unpaired_row(row, head_rows);
    std::byte* target = result.data() + static_cast<std::size_t>(place) * result_row;
    if (weight.type->unpack == nullptr) {
      std::memcpy(target, source, packed_row);
      continue;
    }
    auto* floats = reinterpret_cast<float*>(target);  // a vector's rows of floats are aligned
    for (std::int64_t block = 0; block < row_blocks; ++block) {
      weight.type->unpack(source, floats);
      source += weight.type->block_bytes;
      floats += weight.type->block_elements;
    }
  }
  return result;
}

}  // namespace sgpt_mi::gguf

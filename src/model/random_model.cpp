#include "sgpt_mi/model/random_model.h"

#include <ATen/Parallel.h>
#include <spdlog/fmt/ranges.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layout.h"
#include "model_shapes.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::model {
namespace {

constexpr std::uint64_t kBytesMean = 510;   // of the sum of four uniform bytes
constexpr std::size_t kSums = 4 * 255 + 1;  // that four bytes can have
constexpr std::int64_t kGrain = 1 << 18;    // elements a thread makes at a time, even
constexpr std::uint16_t kHalfOne = 0x3c00;  // 1.0 in binary16

using HalfTable = std::array<std::uint16_t, kSums>;

HalfTable half_of_sums() {
  HalfTable table{};
  for (std::size_t sum = 0; sum < kSums; ++sum) {
    const float centred = static_cast<float>(sum) - static_cast<float>(kBytesMean);
    table[sum] = kernels::float_to_half(centred * 0x1p-13F);
  }
  return table;
}

/// Splitmix64's output function (Steele, Lea & Flood 2014): counters become independent bits.
std::uint64_t mix(std::uint64_t counter) {
  std::uint64_t z = counter * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// FNV-1a: the same on every machine, which std::hash does not promise.
std::uint64_t seed_of(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

/// Values first .. end - 1 of a matrix; `first` is even, and two values come from one draw.
void fill_range(std::uint64_t seed, std::int64_t first, std::int64_t end, const HalfTable& table,
                std::uint16_t* out) {
  constexpr std::uint64_t kEvenBytes = 0x00ff00ff00ff00ffULL;
  for (std::int64_t i = first; i < end; i += 2) {
    const std::uint64_t bits = mix(seed + static_cast<std::uint64_t>(i / 2));
    const std::uint64_t pairs = (bits & kEvenBytes) + ((bits >> 8) & kEvenBytes);
    const std::uint64_t sums = pairs + (pairs >> 16);  // in the low halves of both 32-bit words
    out[i] = table[sums & 0xffffU];
    if (i + 1 < end) out[i + 1] = table[(sums >> 32) & 0xffffU];
  }
}

bool is_norm_weight(const std::string& name) {
  return name.find("norm") != std::string::npos && name.ends_with(".weight");
}

std::vector<containers::TensorInfo> infos_of(const ModelSpec& spec) {
  std::vector<containers::TensorInfo> infos;
  for (ExpectedTensor& tensor : expected_tensors(spec)) {
    infos.push_back({std::move(tensor.name), DType::kF16, std::move(tensor.shape)});
  }
  return infos;
}

/// The tensors of random_checkpoint().
class RandomSource : public containers::IndexedSource {
 public:
  explicit RandomSource(const ModelSpec& spec)
      : IndexedSource("random model", infos_of(spec)), table_(half_of_sums()) {}

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const containers::TensorInfo* info = find(name);
    if (info == nullptr) {
      fail(ErrorKind::kInput, "model: a random model has no tensor {}; expected one of its shape's",
           name);
    }
    const std::int64_t count = info->count();
    auto values = std::make_shared<std::vector<std::uint16_t>>(static_cast<std::size_t>(count));
    if (info->shape.size() > 1) {
      at::parallel_for(0, (count + 1) / 2, kGrain / 2, [&](std::int64_t begin, std::int64_t end) {
        fill_range(seed_of(name), 2 * begin, std::min(2 * end, count), table_, values->data());
      });
    } else if (is_norm_weight(name)) {
      std::fill(values->begin(), values->end(), kHalfOne);
    }
    return {*info, std::as_bytes(std::span(*values)), values};
  }

 private:
  HalfTable table_;
};

/// By name what config.json says of a shape beyond its family's usual values.
const nlohmann::json& shapes() {
  static const nlohmann::json table = nlohmann::json::parse(kModelShapes);
  return table;
}

/// The members that most models of a family share.
nlohmann::json usual_values(const std::string& model_type) {
  nlohmann::json values{{"max_position_embeddings", 2048}, {"torch_dtype", "float16"}};
  if (model_type == "opt") {
    values.update({{"architectures", {"OPTForCausalLM"}},
                   {"vocab_size", 50272},
                   {"activation_function", "relu"},
                   {"do_layer_norm_before", true}});
  } else {
    values.update(
        {{"architectures", {model_type == "mistral" ? "MistralForCausalLM" : "LlamaForCausalLM"}},
         {"vocab_size", 32000},
         {"hidden_act", "silu"},
         {"rms_norm_eps", 1e-5},
         {"tie_word_embeddings", false}});
  }
  return values;
}

/// The members of a published model's config.json that say its shape, or nothing for an unknown
/// name.
std::optional<nlohmann::json> published_config(const std::string& name) {
  const auto found = shapes().find(name);
  if (found == shapes().end()) return std::nullopt;
  nlohmann::json config = usual_values(found->at("model_type"));
  config.update(*found);
  if (config.contains("ffn_dim")) config.emplace("word_embed_proj_dim", config.at("hidden_size"));
  return config;
}

/// All names that published_config knows.
std::vector<std::string> published_names() {
  std::vector<std::string> names;
  names.reserve(shapes().size());
  for (const auto& [name, config] : shapes().items()) names.push_back(name);
  return names;
}

nlohmann::json config_of_shape(const std::string& shape) {
  if (auto published = published_config(shape)) return *published;
  const std::filesystem::path path = std::filesystem::path(shape) / "config.json";
  if (!std::filesystem::is_regular_file(path)) {
    fail(ErrorKind::kUsage,
         "model: no shape '{}' for random weights; expected a folder with a "
         "config.json, or one of {}",
         shape, fmt::join(published_names(), ", "));
  }
  return io::read_json_object(path);
}

}  // namespace

formats::Checkpoint random_checkpoint(const std::string& shape) {
  formats::Checkpoint checkpoint;
  checkpoint.location.path = "random:" + shape;
  checkpoint.location.is_random = true;
  checkpoint.config = config_of_shape(shape);
  checkpoint.tensors = std::make_unique<RandomSource>(parse_model_spec(checkpoint.config));
  return checkpoint;
}

}  // namespace sgpt_mi::model

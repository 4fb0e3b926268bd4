#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/obs/compress.h"
#include "support/shared_data.h"

// The first block's H and weights, compressed here, against what the reference made of them.
namespace sgpt_mi::obs {
namespace {

struct Case {
  std::string model;
  std::string layer;
  std::string config;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.model << " " << c.layer << " " << c.config;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> list;
    const auto add = [&](const std::string& model, const std::string& layer,
                         const std::vector<std::string>& configs) {
      for (const std::string& config : configs) list.push_back({model, layer, config});
    };
    const std::vector<std::string> attention = {"s50", "2of4", "4of8", "s50_w4", "q3"};
    add("tinystories-656k", "self_attn.q_proj", attention);
    add("tinystories-656k", "mlp.down_proj", {"s50", "2of4", "s50_w4", "q4"});
    add("opt-3m", "self_attn.q_proj", attention);
    add("opt-3m", "fc2", {"s50", "s50_w4", "q4"});
    return list;
  }();
  return cases;
}

std::string file_of(const Case& c) {
  std::string layer = c.layer;
  std::replace(layer.begin(), layer.end(), '.', '_');
  return "golden/sparsegpt/" + c.model + "/block0_" + layer + ".safetensors";
}

torch::Tensor read(const containers::TensorSource& source, const std::string& name) {
  const containers::TensorData data = source.read(name);
  torch::Tensor tensor = at::empty(data.info.shape, torch::kFloat32);
  std::memcpy(tensor.data_ptr(), data.bytes.data(), data.bytes.size());
  return tensor;
}

/// The recorded settings and numbers of one layer in one configuration.
struct Recorded {
  CompressOptions options;
  nlohmann::json layer;
};

Recorded recorded(const Case& c) {
  std::ifstream file(test::shared_dir() / ("golden/sparsegpt/" + c.model + "/results.json"));
  const nlohmann::json config = nlohmann::json::parse(file).at("configs").at(c.config);
  Recorded found;
  const nlohmann::json& settings = config.at("settings");
  found.options.sparsity = settings.at("sparsity");
  found.options.prune_n = settings.at("prunen");
  found.options.prune_m = settings.at("prunem");
  found.options.wbits = settings.at("wbits");
  found.options.blocksize = settings.at("blocksize");
  for (const nlohmann::json& layer : config.at("layers")) {
    const std::string name = layer.at("layer");
    if (name.find("layers.0." + c.layer) != std::string::npos) found.layer = layer;
  }
  return found;
}

/// The golden README's recommended tolerances for one layer; the masks of pruning alone are equal
/// there in float32 and float64, so nothing is allowed for them.
struct Tolerance {
  double zeros;  // share of weights that may be zero on one side only
  double trace;  // relative
  double norm;   // |W - W_after| / |W_before|
};

Tolerance tolerance_of(const CompressOptions& options) {
  if (!options.quantizes()) return {0.0, 1e-4, 1e-4};
  return options.wbits == 4 ? Tolerance{1e-3, 2e-3, 0.03} : Tolerance{2e-3, 5e-3, 0.05};
}

class SingleLayer : public testing::TestWithParam<Case> {};

TEST_P(SingleLayer, EqualsTheReference) {
  SGPT_MI_SHARED_OR_SKIP(path, file_of(GetParam()));
  const auto source = containers::open_safetensors(path);
  const Recorded expected = recorded(GetParam());
  const torch::Tensor before = read(*source, "W_before");
  const torch::Tensor after = read(*source, "W_after_" + GetParam().config);
  const CompressResult result =
      compress_sparsegpt(before, read(*source, "H"), expected.options, GetParam().layer);
  const torch::Tensor& weight = result.matrix.weight;

  const Tolerance tolerance = tolerance_of(expected.options);
  const double norm = (weight - after).norm().item<double>() / before.norm().item<double>();
  const auto zeros_apart = weight.eq(0).ne(after.eq(0)).sum().item<std::int64_t>();
  EXPECT_LE(static_cast<double>(zeros_apart),
            tolerance.zeros * static_cast<double>(weight.numel()));
  EXPECT_LE(norm, tolerance.norm);
  const auto expect_close = [&](double found, const char* key, double relative) {
    const double wanted = expected.layer.at(key);
    EXPECT_NEAR(found, wanted, relative * wanted) << key;
  };
  expect_close(result.output_error, "trace_dW_H_dW", tolerance.trace);
  expect_close(result.loss, "reference_error", tolerance.trace);
  expect_close(result.output_energy, "trace_W_H_W", 1e-4);
  EXPECT_EQ(result.dead_channels, expected.layer.at("dead_inputs").get<std::int64_t>());
  ASSERT_EQ(result.damping.size(), 1U) << "the first damping suffices";
}

std::string test_name(const testing::TestParamInfo<Case>& instance) {
  const Case& c = instance.param;
  std::string name = c.model + "_" + c.layer + "_" + c.config;
  const auto is_separator = [](char letter) { return letter == '-' || letter == '.'; };
  std::replace_if(name.begin(), name.end(), is_separator, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, SingleLayer, testing::ValuesIn(all_cases()), test_name);

TEST(SingleLayerCases, CoverEveryStoredResult) {
  SGPT_MI_SHARED_OR_SKIP(folder, "golden/sparsegpt");
  std::set<std::string> stored;
  std::set<std::string> tested;
  for (const Case& c : all_cases()) {
    tested.insert(file_of(c) + " W_after_" + c.config);
    const auto source = containers::open_safetensors(test::shared_dir() / file_of(c));
    for (const containers::TensorInfo& info : source->tensors()) {
      if (info.name.starts_with("W_after_")) stored.insert(file_of(c) + " " + info.name);
    }
  }
  EXPECT_EQ(stored, tested);
}

}  // namespace
}  // namespace sgpt_mi::obs

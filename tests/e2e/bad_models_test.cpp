#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;

/// A damaged copy of the demo model and what `eval` says of it.
class BadModel : public testing::Test {
 protected:
  BadModel() : model_(copy_demo(folder_)), weights_(model_ / "model.safetensors") {}

  /// The one sentence on stderr; the exit code must be 3.
  std::string sentence() { return sentence_of(small_evaluation(model_.string()), 3); }

  std::string sentence_of(const std::vector<std::string>& arguments, int exit_code) {
    const ProgramResult result = run_program(folder_, arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("sgpt-mi: error: "));
    return result.err;
  }

  nlohmann::json config() const {
    std::ifstream stream(model_ / "config.json");
    return nlohmann::json::parse(stream);
  }
  void write_config(const nlohmann::json& config) const {
    std::ofstream(model_ / "config.json") << config.dump();
  }

  /// Splits the weight file into header and data, lets `edit` change the header, writes it back.
  template <typename Edit>
  void edit_header(Edit&& edit) const {
    const std::string bytes = read_all(weights_);
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    auto header = nlohmann::json::parse(bytes.substr(8, size));
    edit(header);
    const std::string text = header.dump();
    const std::uint64_t new_size = text.size();
    std::ofstream stream(weights_, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(&new_size), sizeof(new_size));
    stream << text << bytes.substr(8 + size);
  }

  TemporaryFolder folder_;
  std::filesystem::path model_;
  std::filesystem::path weights_;
  static constexpr const char* kLinear = "model.decoder.layers.0.fc1.weight";
};

TEST_F(BadModel, Missing) {
  std::filesystem::remove_all(model_);
  EXPECT_THAT(sentence(), HasSubstr(model_.string()));
}

TEST_F(BadModel, UnknownHubId) {
  EXPECT_THAT(sentence_of(small_evaluation("nobody/no-such-model"), 3),
              HasSubstr("nobody/no-such-model"));
}

TEST_F(BadModel, WithoutWeights) {
  std::filesystem::remove(weights_);
  EXPECT_THAT(sentence(), HasSubstr("model.safetensors"));
}

TEST_F(BadModel, EmptyAndCutWeights) {
  std::filesystem::resize_file(weights_, 0);
  EXPECT_THAT(sentence(), HasSubstr("model.safetensors"));
  std::filesystem::remove_all(model_);
  copy_demo(folder_);
  std::filesystem::resize_file(weights_, std::filesystem::file_size(weights_) / 2);
  EXPECT_THAT(sentence(), HasSubstr("model.safetensors"));
}

TEST_F(BadModel, OversizedHeader) {
  std::fstream stream(weights_, std::ios::binary | std::ios::in | std::ios::out);
  const std::uint64_t huge = std::uint64_t{1} << 62;
  stream.write(reinterpret_cast<const char*>(&huge), sizeof(huge));
  stream.close();
  EXPECT_THAT(sentence(), HasSubstr("header"));
}

TEST_F(BadModel, OverlappingTensors) {
  edit_header([&](nlohmann::json& header) {
    auto& offsets = header["model.decoder.layers.0.fc2.weight"]["data_offsets"];
    offsets = header[kLinear]["data_offsets"];
  });
  EXPECT_THAT(sentence(), HasSubstr("fc"));
}

TEST_F(BadModel, WrongShape) {
  edit_header([&](nlohmann::json& header) {
    auto& shape = header[kLinear]["shape"];
    shape = {shape[1], shape[0]};
  });
  EXPECT_THAT(sentence(), HasSubstr(kLinear));
}

TEST_F(BadModel, MissingTensor) {
  edit_header([&](nlohmann::json& header) {
    header["unused.weight"] = header[kLinear];
    header.erase(kLinear);
  });
  EXPECT_THAT(sentence(), HasSubstr(kLinear));
}

TEST_F(BadModel, UnexpectedTensor) {
  edit_header([&](nlohmann::json& header) {
    const std::uint64_t end = [&] {
      std::uint64_t last = 0;
      for (const auto& [name, entry] : header.items()) {
        if (name != "__metadata__")
          last = std::max(last, entry["data_offsets"][1].get<std::uint64_t>());
      }
      return last;
    }();
    header["model.decoder.layers.99.fc1.weight"] = {
        {"dtype", "F16"}, {"shape", {0}}, {"data_offsets", {end, end}}};
  });
  EXPECT_THAT(sentence(), HasSubstr("layers.99"));
}

TEST_F(BadModel, NotFiniteWeight) {
  const std::string bytes = read_all(weights_);
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  const auto header = nlohmann::json::parse(bytes.substr(8, size));
  const auto begin = header[kLinear]["data_offsets"][0].get<std::uint64_t>();
  const auto columns = header[kLinear]["shape"][1].get<std::uint64_t>();
  std::fstream stream(weights_, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(static_cast<std::streamoff>(8 + size + begin + 2 * (columns + 3)));
  const std::uint16_t nan = 0x7e00;
  stream.write(reinterpret_cast<const char*>(&nan), sizeof(nan));
  stream.close();
  const std::string text = sentence_of(small_evaluation(model_.string()), 4);
  EXPECT_THAT(text, HasSubstr(kLinear));
  EXPECT_THAT(text, HasSubstr("[1, 3]"));
}

TEST_F(BadModel, ConfigMistakes) {
  const nlohmann::json good = config();
  const auto with = [&](const std::string& key, const nlohmann::json& value) {
    nlohmann::json changed = good;
    changed[key] = value;
    write_config(changed);
    return sentence();
  };
  EXPECT_THAT(with("model_type", "mamba"), HasSubstr("mamba"));
  EXPECT_THAT(with("num_hidden_layers", 0), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(with("num_attention_heads", 7), HasSubstr("num_attention_heads"));
  EXPECT_THAT(with("hidden_size", "wide"), HasSubstr("hidden_size"));
  EXPECT_THAT(with("activation_function", "swish9"), HasSubstr("swish9"));
  std::ofstream(model_ / "config.json") << "{\"model_type\": ";
  EXPECT_THAT(sentence(), HasSubstr("config.json"));
}

TEST_F(BadModel, WithoutTokenizer) {
  std::filesystem::remove(model_ / "vocab.json");
  EXPECT_THAT(sentence(), HasSubstr("tokenizer"));
}

TEST_F(BadModel, TokenizerOfAnotherModel) {
  // The vocabulary with its ids moved past the embedding's rows.
  std::ifstream stream(model_ / "vocab.json");
  auto vocabulary = nlohmann::json::parse(stream);
  for (auto& [token, id] : vocabulary.items()) {
    if (id.get<int>() >= 300) id = id.get<int>() + 100000;
  }
  std::ofstream(model_ / "vocab.json") << vocabulary.dump();
  EXPECT_THAT(sentence(), HasSubstr("vocabulary"));
}

}  // namespace
}  // namespace sgpt_mi::test

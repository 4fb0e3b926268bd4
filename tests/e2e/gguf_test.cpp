#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "e2e/demo.h"

// GGUF files in block types, from the command line. scripts/check_llama_cpp shows them to
// llama.cpp.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;
using Shape = std::vector<std::int64_t>;

constexpr int kVocabulary = 160;

/// A safetensors file, tensor by tensor.
class Tensors {
 public:
  template <typename T>
  void add(const std::string& name, const char* dtype, const Shape& shape,
           const std::vector<T>& values) {
    const std::size_t begin = data_.size();
    data_.resize(begin + values.size() * sizeof(T));
    std::memcpy(data_.data() + begin, values.data(), values.size() * sizeof(T));
    header_[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, data_.size()}}};
  }

  void write(const std::filesystem::path& path) const {
    const std::string header = header_.dump();
    const auto length = static_cast<std::uint64_t>(header.size());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header << data_;
  }

 private:
  nlohmann::json header_;
  std::string data_;
};

std::vector<float> normal(std::int64_t count, unsigned seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw(0.0F, deviation);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = draw(random);
  return values;
}

/// A LLaMA of 2 blocks with tied embeddings: rows of 64, which take blocks of 32 only, and of 256.
void write_llama(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << nlohmann::json({{"model_type", "llama"},
                                                           {"num_hidden_layers", 2},
                                                           {"hidden_size", 64},
                                                           {"intermediate_size", 256},
                                                           {"num_attention_heads", 4},
                                                           {"num_key_value_heads", 2},
                                                           {"max_position_embeddings", 128},
                                                           {"vocab_size", kVocabulary},
                                                           {"rms_norm_eps", 1e-5},
                                                           {"rope_theta", 10000.0},
                                                           {"tie_word_embeddings", true},
                                                           {"hidden_act", "silu"}});
  Tensors tensors;
  unsigned seed = 0;
  const auto matrix = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    tensors.add(name + ".weight", "F32", {rows, columns}, normal(rows * columns, ++seed, 0.15F));
  };
  const auto norm = [&](const std::string& name) {
    tensors.add(name + ".weight", "F32", {64}, std::vector<float>(64, 1.0F));
  };
  matrix("model.embed_tokens", kVocabulary, 64);
  norm("model.norm");
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    norm(layer + "input_layernorm");
    norm(layer + "post_attention_layernorm");
    matrix(layer + "self_attn.q_proj", 64, 64);
    matrix(layer + "self_attn.k_proj", 32, 64);
    matrix(layer + "self_attn.v_proj", 32, 64);
    matrix(layer + "self_attn.o_proj", 64, 64);
    matrix(layer + "mlp.gate_proj", 256, 64);
    matrix(layer + "mlp.up_proj", 256, 64);
    matrix(layer + "mlp.down_proj", 64, 256);
  }
  tensors.write(folder / "model.safetensors");
}

void write_windows(const std::filesystem::path& path, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(16 * 64);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % kVocabulary);
  Tensors tensors;
  tensors.add("input_ids", "I32", {16, 64}, ids);
  tensors.write(path);
}

class GgufFiles : public testing::Test {
 protected:
  void SetUp() override {
    write_llama(model_);
    write_windows(train_, 1);
    write_windows(test_, 2);
  }

  [[nodiscard]] Flags command(const Flags& flags) const {
    return Flags{"compress", model_.string(), train_.string(), "--nsamples", "16",  "--seqlen",
                 "64",       "--eval",        test_.string(),  "--device",   "cpu", "--format",
                 "gguf",     "--save",        file_.string()} +
           flags;
  }

  nlohmann::json compressed(const Flags& flags) {
    const std::filesystem::path path = folder_.path() / "report.json";
    const ProgramResult result =
        run_program(folder_, command(flags) + Flags{"--report", path.string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(read_all(path)) : nlohmann::json();
  }

  std::string refused(const Flags& flags) {
    const ProgramResult result = run_program(folder_, command(flags));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_FALSE(std::filesystem::exists(file_));
    return result.err;
  }

  /// Of the file, loaded by another run.
  double perplexity_of_the_file() {
    const std::filesystem::path path = folder_.path() / "eval.json";
    const ProgramResult result =
        run_program(folder_, {"eval", file_.string(), "--seqlen", "64", "--eval", test_.string(),
                              "--device", "cpu", "--report", path.string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(read_all(path))["perplexity"]["test"]["dense"]["ppl"];
  }

  TemporaryFolder folder_;
  std::filesystem::path model_ = folder_.path() / "llama";
  std::filesystem::path train_ = folder_.path() / "train.safetensors";
  std::filesystem::path test_ = folder_.path() / "test.safetensors";
  std::filesystem::path file_ = folder_.path() / "out.gguf";
};

double ppl(const nlohmann::json& report) {
  return report["perplexity"]["test"]["compressed"]["ppl"];
}

TEST_F(GgufFiles, ScoreWhatTheyHold) {
  const std::vector<Flags> kinds{{"--gguf_type", "Q4_0"},
                                 {"--gguf_type", "IQ4_NL", "--gguf_types", "down_proj=Q2_K"},
                                 {"--gguf_type", "Q3_K", "--gguf_types", "attn_v=Q5_1"},
                                 {"--wbits", "4", "--method", "sparsegpt"},
                                 {"--wbits", "5", "--method", "magnitude"},
                                 {"--gguf_type", "Q5_0", "--sparsity", "0.5"},
                                 {"--target_stored_bits", "5"}};
  for (const Flags& kind : kinds) {
    const nlohmann::json report = compressed(kind);
    if (report.is_null()) continue;
    EXPECT_EQ(ppl(report), perplexity_of_the_file()) << kind[1];
    EXPECT_EQ(report["totals"]["written_file_bytes"], std::filesystem::file_size(file_));
    EXPECT_EQ(report["totals"]["predicted_file_bytes"], report["totals"]["written_file_bytes"]);
  }
}

TEST_F(GgufFiles, AreWrittenWhereTheNameSaysSo) {
  const ProgramResult result = run_program(
      folder_, {"export", model_.string(), "--gguf_type", "Q8_0", "-o", file_.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::is_regular_file(file_));
}

TEST_F(GgufFiles, KeepToTheirBytes) {
  for (const int target : {110'000, 125'000, 150'000}) {
    const nlohmann::json report = compressed({"--target_bytes", std::to_string(target)});
    ASSERT_FALSE(report.is_null());
    const auto size = static_cast<int>(std::filesystem::file_size(file_));
    EXPECT_LE(size, target);
    EXPECT_GT(size, target - 8'000);  // the smallest step of the larger matrices
    EXPECT_EQ(ppl(report), perplexity_of_the_file());
  }
}

TEST_F(GgufFiles, ReportTheirTypes) {
  const nlohmann::json report =
      compressed({"--gguf_type", "Q4_0", "--gguf_types", "down_proj=Q3_K"});
  ASSERT_FALSE(report.is_null());
  for (const nlohmann::json& layer : report["layers"]) {
    const bool down = layer["name"].get<std::string>().ends_with("down_proj");
    EXPECT_EQ(layer["type"], down ? "Q3_K" : "Q4_0");
    EXPECT_EQ(layer["average_bits"], down ? 3 : 4);
    EXPECT_EQ(layer["stored_bits"], down ? 3.4375 : 4.5);
  }
}

TEST_F(GgufFiles, MeasurementsServeFurtherRunsAndThePlan) {
  const std::string measured = (folder_.path() / "measured.json").string();
  const std::string plots = (folder_.path() / "plots").string();
  const nlohmann::json first = compressed({"--target_bytes", "125000", "--measurements", measured});
  const nlohmann::json again = compressed({"--target_bytes", "125000", "--measurements", measured});
  ASSERT_FALSE(first.is_null() || again.is_null());
  EXPECT_EQ(ppl(first), ppl(again));
  Flags plan = command({"--target_bytes", "125000", "--measurements", measured, "--plots", plots});
  plan.front() = "plan";
  const ProgramResult result = run_program(folder_, plan);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("predicted damage"));
  EXPECT_TRUE(std::filesystem::exists(plots + "/damage_vs_bytes.png"));
}

TEST_F(GgufFiles, PrunedWeightsAreZeroInTheFile) {
  const nlohmann::json report = compressed({"--gguf_type", "Q4_0", "--sparsity", "0.5"});
  EXPECT_GE(report["totals"]["sparsity"].get<double>(), 0.5);
}

TEST_F(GgufFiles, HoldPrunedModelsWithoutCodes) {
  const nlohmann::json report = compressed({"--sparsity", "0.5"});
  ASSERT_FALSE(report.is_null());
  EXPECT_EQ(ppl(report), perplexity_of_the_file());
  EXPECT_GE(report["totals"]["sparsity"].get<double>(), 0.5);
}

TEST_F(GgufFiles, PartsKeepToTheirBytesTogether) {
  for (const char* part : {"20kB", "60kB"}) {
    const nlohmann::json report = compressed({"--target_bytes", "125000", "--shard_bytes", part});
    ASSERT_FALSE(report.is_null());
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().extension() == ".gguf") bytes += entry.file_size();
    }
    EXPECT_LE(bytes, 125'000U);
    EXPECT_EQ(report["totals"]["written_file_bytes"], bytes);
    EXPECT_EQ(ppl(report), perplexity_of_the_file());
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().extension() == ".gguf") std::filesystem::remove(entry.path());
    }
  }
}

TEST_F(GgufFiles, LeaveTheBlocksOfLinearsThatAreNotSelected) {
  ASSERT_FALSE(compressed({"--gguf_type", "Q8_0"}).is_null());
  const auto first = std::filesystem::file_size(file_);
  model_ = file_;
  file_ = folder_.path() / "second.gguf";
  const nlohmann::json report = compressed(
      {"--gguf_type", "Q4_0", "--prune_only", "q_proj", "--gguf_types", "token_embd=Q8_0"});
  ASSERT_FALSE(report.is_null());
  EXPECT_EQ(ppl(report), perplexity_of_the_file());
  EXPECT_EQ(std::filesystem::file_size(file_), first - std::size_t{2 * 64 * 2} * (34 - 18));
}

TEST_F(GgufFiles, TellWhichTypesStandInForOthers) {
  const ProgramResult result = run_program(folder_, command({"--gguf_type", "Q4_K"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("12 linears get IQ4_NL: the blocks of Q4_K"));
}

TEST_F(GgufFiles, RefuseBeforeTheRun) {
  EXPECT_THAT(refused({"--gguf_type", "Q4_0", "--gguf_types", "attn_x=Q6_K"}),
              HasSubstr("no matrix that gets a type is called 'attn_x'"));
  EXPECT_THAT(refused({"--gguf_type", "Q7_K"}), HasSubstr("there are Q2_K"));
  EXPECT_THAT(refused({"--gguf_types", "attn_v"}), HasSubstr("attn_v=Q6_K"));
  EXPECT_THAT(refused({}), HasSubstr("nothing to do"));
  EXPECT_THAT(refused({"--target_bytes", "50000"}), HasSubstr("smallest file"));
  EXPECT_THAT(refused({"--gguf_type", "Q4_0", "--target_bytes", "90000"}), HasSubstr("give one"));
  EXPECT_THAT(refused({"--gguf_type", "IQ4_NL", "--sparsity", "0.5"}), HasSubstr("exact zero"));
  EXPECT_THAT(refused({"--wbits", "4", "--method", "mi"}), HasSubstr("one type a tensor"));
  EXPECT_THAT(refused({"--target_bytes", "90000", "--method", "sparsegpt"}),
              HasSubstr("no effect with --method sparsegpt"));
}

}  // namespace
}  // namespace sgpt_mi::test

#include "sgpt_mi/formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/formats/weight_store.h"
#include "support/finish_store.h"
#include "support/shared_data.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::formats {
namespace {

using test::bytes_of;
using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string open_error(const std::filesystem::path& folder) {
  return input_error([&] { (void)open_checkpoint({folder, false}); });
}

TEST(OpenCheckpoint, BadConfigFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(open_error(folder.path()),
              AllOf(HasSubstr("config.json"), HasSubstr("No such file")));
  (void)folder.file("config.json", "");
  EXPECT_THAT(open_error(folder.path()), AllOf(HasSubstr("config.json"), HasSubstr("is empty")));
  (void)folder.file("config.json", "{\"model_type\": }");
  EXPECT_THAT(open_error(folder.path()),
              AllOf(HasSubstr("config.json"), HasSubstr("not valid JSON"), HasSubstr("column 16")));
  (void)folder.file("config.json", "[1]");
  EXPECT_THAT(open_error(folder.path()), HasSubstr("an object was expected"));
}

TEST(OpenCheckpoint, MissingAndDamagedWeightsAreNamed) {
  const TemporaryFolder folder;
  (void)folder.file("config.json", "{}");
  EXPECT_THAT(open_error(folder.path()),
              AllOf(HasSubstr("holds no weights"), HasSubstr("model.safetensors.index.json"),
                    HasSubstr("pytorch_model.bin.index.json")));
  (void)folder.file("pytorch_model.bin.index.json", R"({"weight_map":{"w":"p-1.bin"}})");
  EXPECT_THAT(open_error(folder.path()), AllOf(HasSubstr("p-1.bin is missing"), HasSubstr("'w'")));
  (void)folder.file("pytorch_model.bin", "");
  EXPECT_THAT(open_error(folder.path()), HasSubstr("pytorch_model.bin (0 bytes)"));
  (void)folder.file("model.safetensors", "");
  EXPECT_THAT(open_error(folder.path()), HasSubstr("model.safetensors has 0 bytes"));
}

TEST(OpenCheckpoint, PrefersSafetensors) {
  const TemporaryFolder folder;
  (void)folder.file("config.json", R"({"model_type":"opt"})");
  (void)folder.file("pytorch_model.bin", "not read");
  containers::SafetensorsWriter writer(folder.path(), {{"w", DType::kU8, {1}}});
  writer.put("w", bytes_of("7"));
  writer.finish();
  const Checkpoint checkpoint = open_checkpoint(locate_model(folder.path().string()));
  EXPECT_EQ(checkpoint.config["model_type"], "opt");
  EXPECT_EQ(checkpoint.tensors->read("w").bytes[0], std::byte{'7'});
  EXPECT_FALSE(checkpoint.gguf_vocabulary.has_value());
}

TEST(WeightFiles, AreThoseThatAreRead) {
  const TemporaryFolder folder;
  const auto names = [&] {
    std::vector<std::string> result;
    for (const auto& path : weight_files({folder.path(), false})) result.push_back(path.filename());
    return result;
  };
  EXPECT_THAT(input_error([&] { (void)names(); }), HasSubstr("holds no weights"));
  for (const char* name : {"training_args.bin", "optimizer.bin", "consolidated.safetensors",
                           "p-1.bin", "p-2.bin", "p-3.bin"}) {
    (void)folder.file(name, name);
  }
  (void)folder.file("pytorch_model.bin.index.json",
                    R"({"weight_map": {"a": "p-2.bin", "b": "p-1.bin", "c": "p-2.bin"}})");
  EXPECT_THAT(names(), ElementsAre("p-1.bin", "p-2.bin"));
  EXPECT_EQ(weight_files_sha256({folder.path(), false}), sha256_hex("p-1.binp-2.bin"));
  (void)folder.file("pytorch_model.bin", "p");
  EXPECT_THAT(names(), ElementsAre("pytorch_model.bin"));
  (void)folder.file("model.safetensors", "s");
  EXPECT_THAT(names(), ElementsAre("model.safetensors"));
}

TEST(OpenCheckpoint, ConfigIsSavedAsItIsUnlessTheCheckpointSaysOtherwise) {
  const TemporaryFolder folder;
  const std::string config = R"({ "model_type":"opt",   "tie_word_embeddings":true })";
  (void)folder.file("m/config.json", config);
  containers::SafetensorsWriter writer(folder.path() / "m", {{"w", DType::kU8, {1}}});
  writer.put("w", bytes_of("7"));
  writer.finish();
  Checkpoint checkpoint = open_checkpoint(locate_model((folder.path() / "m").string()));
  const auto saved_config = [&](const char* name) {
    const SavedTypes types(checkpoint);
    (void)test::finish(*find_format("hf").open(folder.path() / name, checkpoint, types));
    return test::read_all(folder.path() / name / "config.json");
  };
  EXPECT_EQ(saved_config("same"), config) << "byte for byte";
  checkpoint.config["tie_word_embeddings"] = false;
  EXPECT_EQ(nlohmann::json::parse(saved_config("other")), checkpoint.config);
}

/// The first value of a float32 tensor.
float first_value(const containers::TensorData& data) {
  float value = 0;
  std::memcpy(&value, data.bytes.data(), sizeof(value));
  return value;
}

TEST(OpenCheckpoint, GoldenFoldersOfEveryLayoutOpen) {
  SGPT_MI_SHARED_OR_SKIP(models, "golden/models");
  for (const char* name : {"opt", "llama-sharded", "opt-bin", "opt-bin-noprefix-fp16",
                           "llama-bin-sharded", "llama-bf16"}) {
    const Checkpoint checkpoint = open_checkpoint({models / name, false});
    EXPECT_GT(checkpoint.tensors->tensors().size(), 10U) << name;
    for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
      EXPECT_EQ(checkpoint.tensors->read(info.name).bytes.size(), info.bytes()) << info.name;
    }
  }
}

TEST(OpenCheckpoint, TiedHeadOfATorchFileSharesItsStorage) {
  SGPT_MI_SHARED_OR_SKIP(folder, "golden/models/opt-bin");
  const Checkpoint checkpoint = open_checkpoint({folder, false});
  const containers::TensorData embedding =
      checkpoint.tensors->read("model.decoder.embed_tokens.weight");
  EXPECT_EQ(checkpoint.tensors->read("lm_head.weight").bytes.data(), embedding.bytes.data());
  EXPECT_NE(first_value(embedding), 0.0F);
}

}  // namespace
}  // namespace sgpt_mi::formats

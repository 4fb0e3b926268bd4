#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/formats/gguf_size.h"
#include "sgpt_mi/formats/saved_size.h"
#include "support/finish_store.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::formats {
namespace {

using test::bytes_of;
using test::error_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

constexpr const char* kConfig = R"({"model_type": "qwen2", "hidden_size": 32,
    "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64, "vocab_size": 3, "tie_word_embeddings": true})";
constexpr const char* kQuery = "model.layers.0.self_attn.q_proj";

/// A model folder with a matrix in BF16, a norm in F16, a bias in BF16 and embeddings in F32.
class GgufStoreTest : public ::testing::Test {
 protected:
  GgufStoreTest() {
    (void)folder_.file("model/config.json", kConfig);
    const std::vector<containers::TensorInfo> infos{
        {"model.embed_tokens.weight", DType::kF32, {3, 32}},
        {std::string(kQuery) + ".weight", DType::kBF16, {32, 32}},
        {std::string(kQuery) + ".bias", DType::kBF16, {32}},
        {"model.norm.weight", DType::kF16, {32}}};
    containers::SafetensorsWriter writer(folder_.path() / "model", infos);
    for (const containers::TensorInfo& info : infos) {
      std::string bytes;
      while (bytes.size() < info.bytes()) bytes += std::string("\x01\x3c\x80\x3f", 4);
      writer.put(info.name, bytes_of(bytes));
    }
    writer.finish();
    checkpoint_ = open_checkpoint(locate_model((folder_.path() / "model").string()));
  }

  [[nodiscard]] std::filesystem::path target() const { return folder_.path() / "m.gguf"; }

  TemporaryFolder folder_;
  Checkpoint checkpoint_;
  const Format& format_ = find_format("gguf");
};

TEST_F(GgufStoreTest, KeepsMatricesAsStoredAndVectorsAsFloats) {
  const SavedTypes types(checkpoint_);
  const std::int64_t counted = test::finish(*format_.open(target(), checkpoint_, types));
  const Checkpoint read = open_checkpoint(locate_model(target().string()));
  for (const char* name : {"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"}) {
    const containers::TensorData expected = checkpoint_.tensors->read(name);
    const containers::TensorData found = read.tensors->read(name);
    EXPECT_EQ(found.info.dtype, expected.info.dtype);
    EXPECT_EQ(std::memcmp(found.bytes.data(), expected.bytes.data(), expected.bytes.size()), 0);
  }
  const containers::TensorData norm = read.tensors->read("model.norm.weight");
  const containers::TensorData bias = read.tensors->read(std::string(kQuery) + ".bias");
  EXPECT_EQ(norm.info.dtype, DType::kF32);
  float values[2];
  std::memcpy(values, norm.bytes.data(), sizeof values);
  EXPECT_EQ(values[0], 1.0F + 0x1p-10F);  // 0x3c01
  EXPECT_EQ(values[1], 1.875F);           // 0x3f80
  std::memcpy(values, bias.bytes.data(), sizeof values);
  EXPECT_EQ(values[1], 1.0F);  // 0x3f80 as BF16
  const std::int64_t bytes = gguf_size(checkpoint_, types, {}).file;
  EXPECT_EQ(bytes, static_cast<std::int64_t>(std::filesystem::file_size(target())));
  EXPECT_EQ(counted, bytes);
}

TEST_F(GgufStoreTest, TakesBlocks) {
  const SavedTypes types(checkpoint_);
  const std::string blocks(std::size_t{32} * 34, '\2');
  const blocks::BlockType* q8 = blocks::find_block_type(8);
  const auto store = format_.open(target(), checkpoint_, types);
  ASSERT_TRUE(store->takes_blocks());
  store->put_blocks(kQuery, {q8, 32, 32, bytes_of(blocks)});
  EXPECT_FALSE(std::filesystem::exists(target()));
  const std::int64_t counted = test::finish(*store);
  const Checkpoint read = open_checkpoint(locate_model(target().string()));
  const containers::TensorData found = read.tensors->read(std::string(kQuery) + ".weight");
  EXPECT_EQ(found.info.dtype, DType::kF32);
  const containers::StoredForm stored = read.tensors->stored(found.info.name);
  EXPECT_EQ(stored.type, "Q8_0");
  EXPECT_EQ(stored.bytes, 32 * 34);
  const GgufSize size = gguf_size(checkpoint_, types, {{kQuery, q8}});
  EXPECT_EQ(size.file, weight_file_bytes(locate_model(target().string())));
  EXPECT_EQ(size.file, counted);
  EXPECT_EQ(size.blocks, 32 * 34);
  EXPECT_GT(size.headers(), 0);
}

TEST_F(GgufStoreTest, CopiesTheBlocksOfWhatWasNotPut) {
  const SavedTypes types(checkpoint_);
  std::string blocks;
  for (int i = 0; i < 32 * 34; ++i) blocks += static_cast<char>(i % 34 == 1 ? 2 : i % 113);
  const auto store = format_.open(target(), checkpoint_, types);
  store->put_blocks(kQuery, {blocks::find_block_type(8), 32, 32, bytes_of(blocks)});
  (void)test::finish(*store);
  const Checkpoint first = open_checkpoint(locate_model(target().string()));
  const SavedTypes again(first);
  EXPECT_EQ(again.dtype_of("model.embed_tokens.weight"), DType::kF32);
  const std::filesystem::path copy = folder_.path() / "n.gguf";
  const std::int64_t counted = test::finish(*format_.open(copy, first, again));
  EXPECT_EQ(gguf_size(first, again, {}).file, counted);
  const Checkpoint second = open_checkpoint(locate_model(copy.string()));
  const auto blocks_of = [](const Checkpoint& read) {
    const auto found = read.tensors->stored_blocks(std::string(kQuery) + ".weight");
    return std::string(reinterpret_cast<const char*>(found->bytes.data()), found->bytes.size());
  };
  EXPECT_EQ(blocks_of(first), blocks);
  EXPECT_EQ(blocks_of(second), blocks);
  EXPECT_EQ(std::filesystem::file_size(copy), std::filesystem::file_size(target()));
}

TEST_F(GgufStoreTest, ASplitModelIsFoundByItsName) {
  const SavedTypes types(checkpoint_);
  const auto store = format_.open(target(), checkpoint_, types);
  store->split_above(3500);
  const std::int64_t counted = test::finish(*store);
  const ModelLocation location = locate_model(target().string());
  EXPECT_EQ(weight_file_bytes(location), counted);
  EXPECT_THAT(location.path.string(), HasSubstr("m-00001-of-00002.gguf"));
  EXPECT_EQ(open_checkpoint(location).tensors->tensors().size(), 4U);
  EXPECT_EQ(weight_files(location).size(), 2U);
  // A copy of a split model is a model again.
  const Checkpoint split = open_checkpoint(location);
  const SavedTypes again(split);
  (void)test::finish(*format_.open(folder_.path() / "n.gguf", split, again));
  EXPECT_EQ(open_checkpoint(locate_model((folder_.path() / "n.gguf").string())).config,
            split.config);
}

TEST_F(GgufStoreTest, AModelBelowTheFolderThatWasNamedIsNoted) {
  const SavedTypes types(checkpoint_);
  const auto file = folder_.path() / "models/small/m.gguf";
  std::filesystem::create_directories(file.parent_path());
  (void)test::finish(*format_.open(file, checkpoint_, types));
  const auto notes = [](const std::filesystem::path& model) {
    return open_checkpoint(locate_model(model.string())).notes;
  };
  EXPECT_THAT(notes(file.parent_path()), ::testing::IsEmpty());
  EXPECT_THAT(notes(folder_.path() / "models"),
              ::testing::ElementsAre(HasSubstr("taken: " + file.string())));
}

TEST_F(GgufStoreTest, RefusesOtherFamiliesAndTheModelItself) {
  ASSERT_NE(format_.check, nullptr);
  EXPECT_NO_THROW(format_.check(checkpoint_));
  checkpoint_.config["model_type"] = "opt";
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { format_.check(checkpoint_); }),
              HasSubstr("--format gptq, compressed-tensors, packed or hf"));
  const SavedTypes types(checkpoint_);
  const auto to_itself = [&] { (void)format_.open(checkpoint_.location.path, checkpoint_, types); };
  EXPECT_THAT(error_of(ErrorKind::kUsage, to_itself), HasSubstr("is the model itself"));
}

TEST_F(GgufStoreTest, FoldersTakeASizeOfTheirFiles) {
  const SavedTypes types(checkpoint_);
  for (const char* name : {"packed", "hf"}) {
    const std::filesystem::path folder = folder_.path() / name;
    const auto store = find_format(name).open(folder, checkpoint_, types);
    store->split_above(1);
    const std::int64_t counted = test::finish(*store);
    const ModelLocation saved = locate_model(folder.string());
    EXPECT_EQ(weight_files(saved).size(), 4U) << name;
    EXPECT_EQ(weight_file_bytes(saved), counted) << name;
  }
}

TEST_F(GgufStoreTest, DeletesNothingAndLeavesNoNameForTwoModels) {
  const SavedTypes types(checkpoint_);
  const auto save = [&](std::int64_t shard_bytes) {
    const auto store = format_.open(target(), checkpoint_, types);
    store->split_above(shard_bytes);
    (void)test::finish(*store);
  };
  std::ofstream(folder_.path() / "m-of-old.gguf") << "GGUF";
  save(0);
  save(0);  // in its own place
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { save(3500); }), HasSubstr("m.gguf is there"));
  std::filesystem::remove(target());
  save(3500);
  const auto part = folder_.path() / "m-00001-of-00002.gguf";
  for (const std::int64_t shard_bytes : {0, 1, 3500}) {
    EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { save(shard_bytes); }),
                HasSubstr("remove it or choose another name"));
  }
  EXPECT_TRUE(std::filesystem::exists(part));
  EXPECT_FALSE(std::filesystem::exists(target()));
}

TEST_F(GgufStoreTest, RefusesThePlaceOfASplitModelThatItReads) {
  const SavedTypes types(checkpoint_);
  const auto store = format_.open(target(), checkpoint_, types);
  store->split_above(3500);
  (void)test::finish(*store);
  const Checkpoint split = open_checkpoint(locate_model(target().string()));
  const SavedTypes again(split);
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { (void)format_.open(target(), split, again); }),
              HasSubstr("is the model itself"));
}

}  // namespace
}  // namespace sgpt_mi::formats

#include "sgpt_mi/containers/sharded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/containers/safetensors.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::containers {
namespace {

using test::bytes_of;
using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A folder with "a" and "b" in shard 1 and "c" in shard 2, and an index of the caller's.
class ShardedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SafetensorsWriter writer(
        folder_.path(), {{"a", DType::kU8, {1}}, {"b", DType::kU8, {1}}, {"c", DType::kU8, {1}}},
        2);
    for (const char* name : {"a", "b", "c"}) writer.put(name, bytes_of(name));
    writer.finish();
  }

  [[nodiscard]] std::string error_with(std::string_view index) const {
    const auto path = folder_.file("i.json", index);
    return input_error([&] { (void)open_sharded(path, open_safetensors); });
  }

  TemporaryFolder folder_;
  static constexpr const char* kFirst = "model-00001-of-00002.safetensors";
};

TEST_F(ShardedTest, ReadsEveryTensorFromItsShard) {
  const auto source =
      open_sharded(folder_.path() / "model.safetensors.index.json", open_safetensors);
  ASSERT_EQ(source->tensors().size(), 3U);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(static_cast<char>(source->read(name).bytes[0]), *name);
  }
}

TEST_F(ShardedTest, MissingShardNamesFileAndTensor) {
  EXPECT_THAT(error_with(R"({"weight_map":{"z":"gone.safetensors"}})"),
              AllOf(HasSubstr("gone.safetensors is missing"), HasSubstr("tensor 'z'")));
}

TEST_F(ShardedTest, TensorThatNoShardHasIsLeftOut) {
  const auto index = folder_.file("i.json", R"({"weight_map":{
      "a":"model-00001-of-00002.safetensors", "b":"model-00001-of-00002.safetensors",
      "x":"model-00001-of-00002.safetensors"}})");
  const auto source = open_sharded(index, open_safetensors);
  ASSERT_EQ(source->tensors().size(), 2U);
  EXPECT_EQ(source->find("x"), nullptr);
}

TEST_F(ShardedTest, TensorInAnotherShardThanTheIndexSaysIsTakenFromThere) {
  const auto index = folder_.file("i.json", R"({"weight_map":{
      "a":"model-00001-of-00002.safetensors", "b":"model-00002-of-00002.safetensors",
      "c":"model-00002-of-00002.safetensors"}})");
  const auto source = open_sharded(index, open_safetensors);
  ASSERT_EQ(source->tensors().size(), 3U);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(static_cast<char>(source->read(name).bytes[0]), *name);
  }
}

TEST_F(ShardedTest, TensorThatTheIndexForgetsIsTaken) {
  const auto index =
      folder_.file("i.json", R"({"weight_map":{"a":"model-00001-of-00002.safetensors"}})");
  const auto source = open_sharded(index, open_safetensors);
  ASSERT_EQ(source->tensors().size(), 2U) << "c lies in a shard that the index does not name";
  EXPECT_EQ(static_cast<char>(source->read("b").bytes[0]), 'b');
}

TEST_F(ShardedTest, BuffersAreLeftOutListedOrNot) {
  const std::string buffer = "model.layers.0.self_attn.rotary_emb.inv_freq";
  TemporaryFolder other;
  SafetensorsWriter writer(other.path(), {{"a", DType::kU8, {1}}, {buffer, DType::kU8, {1}}});
  for (const std::string& name : {std::string("a"), buffer}) writer.put(name, bytes_of("x"));
  writer.finish();
  for (const std::string listed : {"", "model.safetensors", "elsewhere.safetensors"}) {
    const std::string entry = listed.empty() ? "" : ",\"" + buffer + "\":\"" + listed + "\"";
    const auto index =
        other.file("i.json", R"({"weight_map":{"a":"model.safetensors")" + entry + "}}");
    const auto source = open_sharded(index, open_safetensors);
    ASSERT_EQ(source->tensors().size(), 1U) << listed;
    EXPECT_EQ(source->tensors()[0].name, "a");
  }
}

TEST_F(ShardedTest, TensorOfTwoShardsIsNamed) {
  TemporaryFolder twice;
  for (const char* file : {"x.safetensors", "y.safetensors"}) {
    std::filesystem::copy(folder_.path() / kFirst, twice.path() / file);
  }
  const auto unlisted = [&](const char* index) {
    const auto path = twice.file("i.json", index);
    return input_error([&] { (void)open_sharded(path, open_safetensors); });
  };
  EXPECT_THAT(unlisted(R"({"weight_map":{"a":"x.safetensors","z":"y.safetensors"}})"),
              HasSubstr("both hold tensor 'b', which"));
  const auto listed =
      twice.file("j.json", R"({"weight_map":{"a":"x.safetensors","b":"y.safetensors"}})");
  EXPECT_EQ(open_sharded(listed, open_safetensors)->tensors().size(), 2U);
  std::string other = test::read_all(twice.path() / "y.safetensors");
  other.back() =
      static_cast<char>(other.back() ^ 1);  // of b; a, and with it the file, is another's
  static_cast<void>(twice.file("y.safetensors", other));
  EXPECT_THAT(input_error([&] { (void)open_sharded(listed, open_safetensors); }),
              HasSubstr("two shards hold tensor 'b', with other contents"));
}

TEST_F(ShardedTest, FilesAreThoseOfTheIndexOnce) {
  const auto path = folder_.file(
      "i.json", R"({"weight_map":{"a":"s2","b":"s1","c":"s2","rotary_emb.inv_freq":"s3"}})");
  EXPECT_THAT(shard_files(path),
              ::testing::ElementsAre(folder_.path() / "s1", folder_.path() / "s2"));
}

TEST_F(ShardedTest, ShardsOutsideTheFolderAreRefused) {
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"../model.safetensors"}})"),
              AllOf(HasSubstr("tensor 'a'"), HasSubstr("outside the model's folder")));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"x/../../model.safetensors"}})"),
              HasSubstr("outside the model's folder"));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"/etc/passwd"}})"),
              HasSubstr("outside the model's folder"));
}

TEST_F(ShardedTest, BadIndexFilesAreNamed) {
  EXPECT_THAT(error_with(""), AllOf(HasSubstr("i.json"), HasSubstr("is empty")));
  EXPECT_THAT(error_with("{"), AllOf(HasSubstr("i.json"), HasSubstr("not valid JSON")));
  EXPECT_THAT(error_with("[]"), AllOf(HasSubstr("i.json"), HasSubstr("JSON array")));
  EXPECT_THAT(error_with("{}"), HasSubstr("no \"weight_map\""));
  EXPECT_THAT(error_with(R"({"weight_map":{}})"), HasSubstr("no \"weight_map\""));
  EXPECT_THAT(error_with(R"({"weight_map":{"a\nb":"x"}})"), HasSubstr("the name 'a\\nb'"));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"x\ny"}})"), HasSubstr("the name 'x\\ny'"));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":1}})"),
              AllOf(HasSubstr("tensor 'a'"), HasSubstr("number for its file")));
}

}  // namespace
}  // namespace sgpt_mi::containers

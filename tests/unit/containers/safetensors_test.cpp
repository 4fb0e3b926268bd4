#include "sgpt_mi/containers/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

#include "containers/safetensors_header.h"
#include "support/shared_data.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::containers {
namespace {

using test::bytes_of;
using test::error_of;
using test::input_error;
using test::read_all;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A safetensors file with this header and `data_bytes` of data.
std::string file_with(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file.append(header).append(data_bytes, '\1');
}

/// The sentence about a file with this header and data.
std::string header_error(std::string_view header, std::size_t data_bytes) {
  const std::string file = file_with(header, data_bytes);
  return input_error([&] { (void)parse_safetensors(bytes_of(file), "w.safetensors"); });
}

struct BadHeader {
  const char* label;
  const char* header;
  std::size_t data_bytes;
  const char* rule;  // part of the sentence
};

class BadHeaderTest : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaderTest, IsRefusedWithFileTensorAndRule) {
  const std::string sentence = header_error(GetParam().header, GetParam().data_bytes);
  EXPECT_THAT(sentence, AllOf(HasSubstr("w.safetensors"), HasSubstr(GetParam().rule)));
}

constexpr auto kBadTensors = std::to_array<BadHeader>({
    {"duplicate_tensor",
     R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
         "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, "tensor 'a' occurs twice"},
    {"duplicate_member", R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
     "tensor 'a': the member 'dtype' occurs twice"},
    {"control_characters", R"({"a\n\u001b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
     "the name 'a\\n\\x1B' has control"},
    {"unknown_dtype", R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1,
     "tensor 'a': dtype 'F8_E4M3' is not known"},
    {"no_dtype", R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1,
     "tensor 'a': the header gives no dtype"},
    {"no_shape", R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1,
     "tensor 'a': the header gives no shape"},
    {"no_offsets", R"({"a":{"dtype":"U8","shape":[1]}})", 1, "tensor 'a': data_offsets has 0"},
    {"three_offsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1,
     "tensor 'a': data_offsets has 3 numbers"},
    {"negative_shape", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1,
     "tensor 'a': shape holds the negative number -1"},
    {"fractional_shape", R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value at 'shape'"},
    {"nested_shape", R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1,
     "tensor 'a': unexpected value at 'shape'"},
    {"huge_size", R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1,
     "tensor 'a': shape holds 9223372036854775808"},
    {"overflowing_count",
     R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     "tensor 'a': its shape has more elements than 64 bits"},
    {"overflowing_bytes",
     R"({"a":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0,
     "tensor 'a': its shape has more elements than 64 bits"},
    {"span_too_short", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
     "tensor 'a': data_offsets [0, 4] hold 4 bytes, but its shape needs 8"},
    {"swapped_offsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1,
     "tensor 'a': data_offsets [1, 0] run backwards"},
    {"beyond_end", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7,
     "tensor 'a': data_offsets [0, 8] pass the end of the data (7 bytes)"},
    {"overlap",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
         "b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
     7, "tensor 'b': its data starts at 3, but overlaps another tensor's, which ends at 4"},
    {"gap",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
         "b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
     9, "tensor 'b': its data starts at 5, but the tensor before ends at 4: a gap"},
    {"trailing_data", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6,
     "2 bytes after the last tensor belong to no tensor"},
    {"tensor_is_a_number", R"({"a":3})", 0, "tensor 'a': unexpected value"},
    {"unknown_member", R"({"a":{"dtype":"U8","strides":[1]}})", 0,
     "tensor 'a': unexpected value at 'strides'"},
    {"nested_metadata", R"({"__metadata__":{"a":{}}})", 0, "unexpected value"},
});

constexpr auto kBadTexts = std::to_array<BadHeader>({
    {"empty_header", "", 0, "does not begin with '{'"},
    {"a_list", "[]", 0, "does not begin with '{'"},
    {"leading_space", " {}", 0, "does not begin with '{'"},
    {"cut_json", R"({"a":{"dtype")", 0, "not valid JSON"},
    {"text_after", "{}{}", 0, "not valid JSON"},
    {"not_utf8", "{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
     "ill-formed UTF-8"},
});

std::string case_name(const ::testing::TestParamInfo<BadHeader>& info) { return info.param.label; }

INSTANTIATE_TEST_SUITE_P(Tensors, BadHeaderTest, ::testing::ValuesIn(kBadTensors), case_name);
INSTANTIATE_TEST_SUITE_P(Texts, BadHeaderTest, ::testing::ValuesIn(kBadTexts), case_name);

TEST(SafetensorsFile, LengthIsCheckedAgainstTheFile) {
  const auto error_for = [](std::string_view file) {
    return input_error([&] { (void)parse_safetensors(bytes_of(file), "w.safetensors"); });
  };
  EXPECT_THAT(error_for(""), HasSubstr("w.safetensors has 0 bytes"));
  EXPECT_THAT(error_for("\1\0\0"), HasSubstr("empty or cut"));
  std::string file = file_with("{}", 0);
  file[0] = 3;
  EXPECT_THAT(error_for(file), HasSubstr("header is 3 bytes long, but only 2 bytes follow"));
  const std::uint64_t oversized = 100'000'001;
  std::memcpy(file.data(), &oversized, sizeof(oversized));
  EXPECT_THAT(error_for(file), HasSubstr("at most 100000000 are allowed"));
  const std::uint64_t wrapping = ~std::uint64_t{0};
  std::memcpy(file.data(), &wrapping, sizeof(wrapping));
  EXPECT_THAT(error_for(file), HasSubstr("at most 100000000 are allowed"));
}

TEST(SafetensorsFile, MissingFileAndFolderAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { (void)open_safetensors(folder.path() / "none.safetensors"); }),
              AllOf(HasSubstr("none.safetensors"), HasSubstr("No such file")));
  EXPECT_THAT(input_error([&] { (void)open_safetensors(folder.path()); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(input_error([&] { (void)open_safetensors(folder.file("e.safetensors", "")); }),
              AllOf(HasSubstr("e.safetensors"), HasSubstr("has 0 bytes")));
}

TEST(SafetensorsFile, EveryCutIsRefused) {
  const std::string whole =
      file_with(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  EXPECT_NO_THROW((void)parse_safetensors(bytes_of(whole), "w"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string_view cut = std::string_view(whole).substr(0, size);
    EXPECT_THROW((void)parse_safetensors(bytes_of(cut), "w"), Error) << size;
  }
}

TEST(SafetensorsFile, ReadsScalarsEmptyTensorsAndMetadata) {
  const std::string file = file_with(
      R"({"__metadata__":{"format":"pt"},"e":{"dtype":"F32","shape":[0,7],"data_offsets":[2,2]},
          "s":{"shape":[],"data_offsets":[0,2],"dtype":"BF16"}}   )",
      2);
  const SafetensorsLayout layout = parse_safetensors(bytes_of(file), "w");
  ASSERT_EQ(layout.tensors.size(), 2U);
  EXPECT_EQ(layout.tensors[0].name, "s");
  EXPECT_EQ(layout.tensors[0].dtype, DType::kBF16);
  EXPECT_EQ(layout.tensors[0].count(), 1);
  EXPECT_EQ(layout.tensors[1].shape, (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(layout.tensors[1].bytes(), 0U);
  EXPECT_EQ(layout.offsets[0] + 2, file.size());
  EXPECT_TRUE(parse_safetensors(bytes_of(file_with("{}", 0)), "w").tensors.empty());
}

TEST(SafetensorsFile, ReadPointsIntoTheMappingAndOutlivesTheSource) {
  const TemporaryFolder folder;
  const auto path = folder.file(
      "m.safetensors", file_with(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3));
  auto source = open_safetensors(path);
  const TensorData first = source->read("a");
  EXPECT_EQ(first.bytes.data(), source->read("a").bytes.data());
  EXPECT_THAT(input_error([&] { (void)source->read("b"); }),
              AllOf(HasSubstr("m.safetensors"), HasSubstr("no tensor 'b'")));
  EXPECT_EQ(source->find("b"), nullptr);
  source.reset();
  EXPECT_EQ(first.bytes.size(), 3U);
  EXPECT_EQ(first.bytes[2], std::byte{1});
}

TEST(SafetensorsFile, GoldenFileHasItsDocumentedTensors) {
  SGPT_MI_SHARED_OR_SKIP(path, "golden/models/opt/golden.safetensors");
  const auto source = open_safetensors(path);
  const TensorInfo* ids = source->find("input_ids");
  ASSERT_NE(ids, nullptr);
  EXPECT_EQ(ids->dtype, DType::kI32);
  EXPECT_EQ(ids->shape, (std::vector<std::int64_t>{2, 48}));
  EXPECT_EQ(source->read("logits").info.shape, (std::vector<std::int64_t>{2, 48, 256}));
}

// --- writer -------------------------------------------------------------------------------------

/// Three tensors of 8, 3 and 4 bytes, in an order that would leave the last one unaligned.
std::vector<TensorInfo> three_tensors() {
  return {{"ids", DType::kI64, {1}}, {"flags", DType::kU8, {3}}, {"w", DType::kF32, {1, 1}}};
}

TEST(SafetensorsWriter, RoundTripsInAnyOrderWithAlignedData) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(), three_tensors());
  writer.put("w", bytes_of("wxyz"));
  writer.put("ids", bytes_of("01234567"));
  writer.put("flags", bytes_of("abc"));
  writer.finish();
  const auto path = folder.path() / "model.safetensors";
  const auto source = open_safetensors(path);
  for (const TensorInfo& info : three_tensors()) {
    const TensorData data = source->read(info.name);
    EXPECT_EQ(data.info.dtype, info.dtype);
    EXPECT_EQ(data.info.shape, info.shape);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data.bytes.data()) % dtype_size(info.dtype), 0U);
  }
  const auto text = source->read("flags").bytes;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(text.data()), text.size()), "abc");
  EXPECT_THAT(read_all(path), HasSubstr(R"("__metadata__":{"format":"pt"})"));
}

TEST(SafetensorsWriter, ShardsWithIndexWhenTooLarge) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(), three_tensors(), 11);
  writer.put("ids", bytes_of("01234567"));
  writer.put("flags", bytes_of("abc"));
  writer.put("w", bytes_of("wxyz"));
  writer.finish();
  const auto index =
      nlohmann::json::parse(read_all(folder.path() / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 15);
  EXPECT_EQ(index["weight_map"]["ids"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["flags"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["w"], "model-00002-of-00002.safetensors");
}

TEST(SafetensorsWriter, MisuseIsABugWithTheTensorsName) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder.path(), three_tensors());
  const auto bug = [](auto action) { return error_of(ErrorKind::kInternal, action); };
  EXPECT_THAT(bug([&] { writer.put("x", {}); }), HasSubstr("'x' was not announced"));
  EXPECT_THAT(bug([&] { writer.put("w", bytes_of("abc")); }), HasSubstr("'w' has 3 bytes; 4"));
  writer.put("w", bytes_of("wxyz"));
  EXPECT_THAT(bug([&] { writer.put("w", bytes_of("wxyz")); }), HasSubstr("'w' was written twice"));
  EXPECT_THAT(bug([&] { writer.finish(); }), HasSubstr("'ids' was never written"));
  EXPECT_THAT(bug([&] {
                SafetensorsWriter twice(folder.path(), {three_tensors()[0], three_tensors()[0]});
              }),
              HasSubstr("'ids' cannot be a tensor's name"));
}

TEST(SafetensorsWriter, UnwritableFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(
      input_error([&] { SafetensorsWriter writer(folder.path() / "none", three_tensors()); }),
      AllOf(HasSubstr("none/model.safetensors"), HasSubstr("cannot write")));
}

TEST(SafetensorsHeader, NullMetadataIsNone) {
  const std::string entry = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const std::string file = file_with(R"({"__metadata__":null,)" + entry, 1);
  EXPECT_EQ(parse_safetensors(bytes_of(file), "w").tensors.size(), 1U);
  EXPECT_THAT(header_error(R"({"__metadata__":{"format":null},)" + entry, 1),
              HasSubstr("'__metadata__'"));
  EXPECT_THAT(header_error(R"({"a":null})", 0), HasSubstr("tensor 'a': unexpected value"));
}

}  // namespace
}  // namespace sgpt_mi::containers

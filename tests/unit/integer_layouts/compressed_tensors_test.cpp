#include "sgpt_mi/integer_layouts/compressed_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/integer_examples.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::integer_layouts {
namespace {

using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

nlohmann::json config_of(const std::vector<CompressedModule>& modules) {
  return compressed_tensors_config(modules, {});
}

/// Random, with every zero point in the middle where `symmetric`.
test::CodedMatrixBuffers matrix_of(int bits, std::int64_t groups, bool symmetric,
                                   std::mt19937& engine) {
  test::CodedMatrixBuffers matrix =
      test::integer_matrix({24, 96, DType::kF32, {bits}, groups}, engine);
  if (symmetric) {
    std::fill(matrix.zero_point.begin(), matrix.zero_point.end(), std::uint8_t(1 << (bits - 1)));
  }
  return matrix;
}

TEST(CompressedTensors, PacksCodesAlongTheInputsAndZerosAlongTheOutputs) {
  test::CodedMatrixBuffers matrix;
  matrix.rows = 2;
  matrix.columns = 16;
  for (int i = 0; i < 32; ++i) matrix.codes.push_back(std::uint8_t(i < 16 ? 1 : 15));
  matrix.grid_rows = 2;
  matrix.scale.assign(4, 0x3c00);
  matrix.zero_point = {3, 4, 5, 6};  // (row, group)
  matrix.group_of_column.assign(8, 0);
  matrix.group_of_column.resize(16, 1);
  matrix.bits_of_group = {4, 4};
  const CompressedMatrix written = compressed_tensors_matrix("m", matrix.view());
  const auto& tensors = written.written.tensors;
  ASSERT_EQ(tensors.size(), 4U);
  EXPECT_THAT(tensors[0].info.shape, ElementsAre(2, 2));
  EXPECT_THAT(test::words_of(tensors[0]),
              ElementsAre(0x11111111U, 0x11111111U, 0xffffffffU, 0xffffffffU));
  EXPECT_THAT(tensors[1].info.shape, ElementsAre(2, 2));
  EXPECT_EQ(tensors[2].info.name, "m.weight_shape");
  EXPECT_THAT(test::words_of(tensors[2]), ElementsAre(2, 0, 16, 0));
  EXPECT_THAT(tensors[3].info.shape, ElementsAre(1, 2));
  EXPECT_THAT(test::words_of(tensors[3]), ElementsAre(0x53U, 0x64U));
}

TEST(CompressedTensors, ReadsBackWhatItWroteAndPredictsItsBytes) {
  std::mt19937 engine(7);
  for (const int bits : kCompressedTensorsWidths) {
    for (const std::int64_t groups : {1, 3}) {
      for (const bool symmetric : {false, true}) {
        SCOPED_TRACE(fmt::format("{} bits, {} groups, symmetric {}", bits, groups, symmetric));
        const test::CodedMatrixBuffers matrix = matrix_of(bits, groups, symmetric, engine);
        packing::CodedMatrix view = matrix.view();
        view.symmetric = symmetric;
        const CompressedMatrix written = compressed_tensors_matrix("m", view);
        EXPECT_EQ(written.written.size, compressed_tensors_size(packing::packed_shape(view)));
        const test::MemoryTensors tensors(written.written.tensors);
        EXPECT_EQ(tensors.find("m.weight_zero_point") == nullptr, symmetric);
        const CompressedTensorsReader reader(config_of({written.module}), "test");
        EXPECT_THAT(CompressedTensorsReader::names(tensors), ElementsAre("m"));
        const MatrixLayout layout = reader.describe(tensors, "m", "test");
        EXPECT_EQ(layout.bits, bits);
        EXPECT_EQ(layout.size, written.written.size);
        EXPECT_EQ(test::floats_of(decode(reader.read(tensors, layout, "test"))),
                  test::values_of(view));
      }
    }
  }
}

TEST(CompressedTensors, OneSchemeIsTheClassLinear) {
  const nlohmann::json config = compressed_tensors_config({{"a", 4, 32, true}, {"b", 4, 32, true}},
                                                          {"lm_head", "model.layers.0.o"});
  EXPECT_EQ(config["ignore"], (nlohmann::json{"lm_head", "model.layers.0.o"}));
  ASSERT_EQ(config["config_groups"].size(), 1U);
  const nlohmann::json& group = config["config_groups"]["group_0"];
  EXPECT_EQ(group["targets"], nlohmann::json{"Linear"});
  EXPECT_EQ(group["weights"], (nlohmann::json{{"num_bits", 4},
                                              {"type", "int"},
                                              {"symmetric", true},
                                              {"strategy", "group"},
                                              {"group_size", 32},
                                              {"dynamic", false}}));
}

TEST(CompressedTensors, SchemesAreDisjointGroupsOfNames) {
  const nlohmann::json config =
      config_of({{"a", 4, 32, true}, {"b", 8, 0, true}, {"c", 4, 32, true}});
  ASSERT_EQ(config["config_groups"].size(), 2U);
  EXPECT_EQ(config["config_groups"]["group_0"]["targets"], (nlohmann::json{"a", "c"}));
  const nlohmann::json& channel = config["config_groups"]["group_1"];
  EXPECT_EQ(channel["targets"], nlohmann::json{"b"});
  EXPECT_EQ(channel["weights"]["strategy"], "channel");
  EXPECT_TRUE(channel["weights"]["group_size"].is_null());
}

TEST(CompressedTensors, RefusesWhatIsNotReadByName) {
  const nlohmann::json good = config_of({{"a", 4, 32, true}});
  const auto refused = [&](const std::string& place, const nlohmann::json& value) {
    nlohmann::json config = good;
    config[nlohmann::json::json_pointer(place)] = value;
    return input_error([&] { (void)CompressedTensorsReader(config, "test"); });
  };
  EXPECT_THAT(refused("/format", "int-quantized"), HasSubstr("int-quantized"));
  EXPECT_THAT(refused("/config_groups", nullptr), HasSubstr("config_groups"));
  EXPECT_THAT(refused("/config_groups/group_0/weights/num_bits", 3), HasSubstr("two layouts"));
  EXPECT_THAT(refused("/config_groups/group_0/weights/type", "float"), HasSubstr("float"));
  EXPECT_THAT(refused("/config_groups/group_0/input_activations", {{"num_bits", 8}}),
              HasSubstr("activations"));
}

TEST(CompressedTensors, RefusesTensorsThatContradictEachOther) {
  std::mt19937 engine(1);
  const test::CodedMatrixBuffers matrix = matrix_of(4, 3, false, engine);
  const CompressedMatrix written = compressed_tensors_matrix("m", matrix.view());
  const CompressedTensorsReader reader(config_of({written.module}), "test");
  for (std::size_t i = 0; i < written.written.tensors.size(); ++i) {
    std::vector<NamedTensor> tensors = written.written.tensors;
    tensors[i].info.shape.front() *= 2;
    tensors[i].bytes.resize(tensors[i].bytes.size() * 2);
    EXPECT_THAT(
        input_error([&] { (void)reader.describe(test::MemoryTensors(tensors), "m", "test"); }),
        HasSubstr("m"))
        << i;
  }
  std::vector<NamedTensor> tensors = written.written.tensors;
  tensors[2].bytes[8] = std::byte{0};  // 96 inputs become 0
  EXPECT_THAT(
      input_error([&] { (void)reader.describe(test::MemoryTensors(tensors), "m", "test"); }),
      HasSubstr("weight_shape"));
}

}  // namespace
}  // namespace sgpt_mi::integer_layouts

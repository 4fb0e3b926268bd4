#include "sgpt_mi/integer_layouts/gptq.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/integer_examples.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::integer_layouts {
namespace {

using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const nlohmann::json kConfig{{"quant_method", "gptq"},
                             {"bits", 4},
                             {"group_size", -1},
                             {"sym", true},
                             {"checkpoint_format", "gptq_v2"}};

nlohmann::json config_with(const std::string& key, const nlohmann::json& value) {
  nlohmann::json config = kConfig;
  config[key] = value;
  return config;
}

/// 8 x 8 codes of 4 bits: code r in row r, one symmetric grid of scale 1 a row.
test::CodedMatrixBuffers rows_of_their_number() {
  test::CodedMatrixBuffers matrix;
  matrix.rows = 8;
  matrix.columns = 8;
  for (int r = 0; r < 8; ++r) matrix.codes.insert(matrix.codes.end(), 8, std::uint8_t(r));
  matrix.grid_rows = 8;
  matrix.scale.assign(8, 0x3c00);
  matrix.zero_point.assign(8, 8);
  matrix.group_of_column.assign(8, 0);
  matrix.bits_of_group = {4};
  return matrix;
}

TEST(Gptq, PacksCodesAlongTheInputsAndZerosAlongTheOutputs) {
  const test::CodedMatrixBuffers matrix = rows_of_their_number();
  const GptqMatrix two = gptq_matrix("m", matrix.view(), GptqVersion::kV2);
  const auto& tensors = two.written.tensors;
  ASSERT_EQ(tensors.size(), 4U);
  EXPECT_EQ(tensors[0].info.name, "m.qweight");
  EXPECT_THAT(tensors[0].info.shape, ElementsAre(1, 8));
  EXPECT_THAT(test::words_of(tensors[0]),
              ElementsAre(0, 0x11111111U, 0x22222222U, 0x33333333U, 0x44444444U, 0x55555555U,
                          0x66666666U, 0x77777777U));
  EXPECT_THAT(tensors[1].info.shape, ElementsAre(1, 1));
  EXPECT_THAT(test::words_of(tensors[1]), ElementsAre(0x88888888U));
  EXPECT_THAT(tensors[2].info.shape, ElementsAre(1, 8));
  EXPECT_THAT(test::words_of(tensors[3]), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_TRUE(two.module.symmetric);
  EXPECT_FALSE(two.module.reorders);
  const GptqMatrix one = gptq_matrix("m", matrix.view(), GptqVersion::kV1);
  EXPECT_THAT(test::words_of(one.written.tensors[1]), ElementsAre(0x77777777U));
}

TEST(Gptq, CodesOfThreeBitsStraddleWords) {
  test::CodedMatrixBuffers matrix = rows_of_their_number();
  matrix.rows = 1;
  matrix.columns = 32;
  matrix.codes.assign(32, 0);
  matrix.codes[10] = 7;  // bits 30 to 32
  matrix.codes[21] = 7;  // bits 63 to 65
  matrix.grid_rows = 1;
  matrix.scale.assign(1, 0x3c00);
  matrix.zero_point.assign(1, 4);
  matrix.group_of_column.assign(32, 0);
  matrix.bits_of_group = {3};
  const GptqMatrix written = gptq_matrix("m", matrix.view(), GptqVersion::kV2);
  EXPECT_THAT(test::words_of(written.written.tensors[0]),
              ElementsAre(0xc0000000U, 0x80000001U, 0x00000003U));
}

TEST(Gptq, GroupSizeIsTheLargestThatGivesSoManyGroups) {
  EXPECT_EQ(gptq_group_size(384, 1), -1);
  EXPECT_EQ(gptq_group_size(384, 3), 128);
  EXPECT_EQ(gptq_group_size(128, 8), 16);
  EXPECT_EQ(gptq_group_size(192, 2), 128);  // the last group is not full
  EXPECT_EQ(gptq_group_size(256, 10), 16);  // 16 groups, 6 of them without columns
  EXPECT_EQ(gptq_group_size(128, 9), std::nullopt);
}

TEST(Gptq, ReadsBackWhatItWroteAndPredictsItsBytes) {
  std::mt19937 engine(7);
  for (const int bits : kGptqWidths) {
    for (const std::int64_t groups : {1, 4, 5}) {
      for (const bool labels : {false, true}) {
        SCOPED_TRACE(fmt::format("{} bits, {} groups, labels {}", bits, groups, labels));
        test::PackedForm form{32, 128, DType::kF32, {bits}, groups, labels};
        form.masked = labels;
        const test::CodedMatrixBuffers matrix = test::integer_matrix(form, engine);
        const GptqMatrix written = gptq_matrix("m", matrix.view(), GptqVersion::kV2);
        EXPECT_EQ(written.written.size, gptq_size(packing::packed_shape(matrix.view())));
        const test::MemoryTensors tensors(written.written.tensors);
        const GptqReader reader(config_with("bits", bits), "test");
        EXPECT_THAT(GptqReader::names(tensors), ElementsAre("m"));
        const MatrixLayout layout = reader.describe(tensors, "m", "test");
        EXPECT_EQ(layout.bits, bits);
        EXPECT_EQ(layout.size, written.written.size);
        EXPECT_EQ(test::floats_of(decode(reader.read(tensors, layout, "test"))),
                  test::values_of(matrix.view()));
      }
    }
  }
}

TEST(Gptq, ConfigurationOfOneSchemeHasNoRules) {
  const nlohmann::json config = gptq_config(
      {{"a", 4, 128, 4, true, false}, {"b", 4, 384, 12, true, true}}, {}, GptqVersion::kV2);
  EXPECT_EQ(config, (nlohmann::json{{"quant_method", "gptq"},
                                    {"bits", 4},
                                    {"group_size", 32},
                                    {"sym", true},
                                    {"desc_act", true},
                                    {"checkpoint_format", "gptq_v2"},
                                    {"lm_head", false}}));
}

TEST(Gptq, ModulesThatDifferAreRules) {
  const nlohmann::json config = gptq_config({{"model.layers.0.q", 4, 128, 1, false, false},
                                             {"model.layers.0.k", 4, 128, 1, false, false},
                                             {"model.layers.0.v", 8, 128, 4, false, false}},
                                            {"model.layers.0.o"}, GptqVersion::kV2);
  EXPECT_EQ(config["bits"], 4);
  EXPECT_EQ(config["sym"], false);
  EXPECT_EQ(config["dynamic"],
            (nlohmann::json{{R"(+:^model\.layers\.0\.v$)", {{"bits", 8}, {"group_size", 32}}},
                            {R"(-:^model\.layers\.0\.o$)", nlohmann::json::object()}}));
}

TEST(Gptq, RefusesWhatReadersDisagreeAbout) {
  const test::CodedMatrixBuffers matrix = rows_of_their_number();
  GptqMatrix written = gptq_matrix("m", matrix.view(), GptqVersion::kV1);
  written.written.tensors[1].bytes.assign(4, std::byte{0xff});
  const test::MemoryTensors tensors(written.written.tensors);
  const GptqReader reader(config_with("checkpoint_format", "gptq"), "test");
  const MatrixLayout layout = reader.describe(tensors, "m", "test");
  EXPECT_THAT(input_error([&] { (void)reader.read(tensors, layout, "test"); }),
              HasSubstr("zero point of 15"));
  const auto refused = [](const nlohmann::json& config) {
    return input_error([&] { (void)GptqReader(config, "test"); });
  };
  EXPECT_THAT(refused(config_with("checkpoint_format", "marlin")), HasSubstr("marlin"));
  EXPECT_THAT(refused(config_with("bits", 5)), HasSubstr("5"));
  EXPECT_THAT(refused(config_with("bits", "four")), HasSubstr("four"));
  EXPECT_THAT(refused(config_with("group_size", 0)), HasSubstr("group_size 0"));
}

TEST(Gptq, RefusesTensorsThatContradictEachOther) {
  const test::CodedMatrixBuffers matrix = rows_of_their_number();
  const GptqMatrix written = gptq_matrix("m", matrix.view(), GptqVersion::kV2);
  const GptqReader reader(kConfig, "test");
  for (std::size_t i = 0; i < written.written.tensors.size(); ++i) {
    std::vector<NamedTensor> tensors = written.written.tensors;
    NamedTensor& changed = tensors[i];
    changed.info.shape.back() *= 2;
    changed.bytes.resize(changed.bytes.size() * 2);
    EXPECT_THAT(
        input_error([&] { (void)reader.describe(test::MemoryTensors(tensors), "m", "test"); }),
        HasSubstr("'m."))
        << i;
  }
  std::vector<NamedTensor> tensors = written.written.tensors;
  tensors[3].bytes.assign(tensors[3].bytes.size(), std::byte{1});
  const test::MemoryTensors wrong(tensors);
  const MatrixLayout layout = reader.describe(wrong, "m", "test");
  EXPECT_THAT(input_error([&] { (void)reader.read(wrong, layout, "test"); }), HasSubstr("g_idx"));
}

TEST(Gptq, WithoutGroupIndicesGroupsAreRuns) {
  std::mt19937 engine(3);
  const test::CodedMatrixBuffers matrix =
      test::integer_matrix({8, 64, DType::kF32, {4}, 2}, engine);
  GptqMatrix written = gptq_matrix("m", matrix.view(), GptqVersion::kV2);
  written.written.tensors.pop_back();
  const test::MemoryTensors tensors(written.written.tensors);
  const GptqReader reader(config_with("group_size", 32), "test");
  EXPECT_EQ(
      test::floats_of(decode(reader.read(tensors, reader.describe(tensors, "m", "test"), "test"))),
      test::values_of(matrix.view()));
  const GptqReader other(config_with("group_size", 16), "test");
  EXPECT_THAT(input_error([&] { (void)other.describe(tensors, "m", "test"); }),
              HasSubstr("group_size is 16"));
}

}  // namespace
}  // namespace sgpt_mi::integer_layouts

#include "sgpt_mi/formats/integer_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/io/json_file.h"
#include "support/finish_store.h"
#include "support/integer_examples.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::formats {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

/// A dense model of one matrix "model.layers.0.q" (32 x 64), a linear that stays dense, and an
/// embedding; saved once more in another format.
class IntegerFolder : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    fs::create_directory(dense_);
    const std::vector<containers::TensorInfo> infos{
        {"embed_tokens.weight", DType::kF16, {4, 8}},
        {"model.layers.0.q.weight", DType::kF16, {32, 64}},
        {"model.layers.0.v.weight", DType::kF16, {2, 2}},
        {"model.layers.0.q.bias", DType::kF16, {32}}};
    containers::SafetensorsWriter writer(dense_, infos);
    for (const containers::TensorInfo& info : infos) {
      const std::vector<std::byte> zeros(info.bytes());
      writer.put(info.name, zeros);
    }
    writer.finish();
    (void)folder_.file("dense/config.json", R"({"model_type":"opt"})");
  }

  /// Saves `matrix` over the dense one; bytes of the files.
  std::int64_t save(const packing::CodedMatrix& matrix) const {
    const Format& format = find_format(GetParam());
    const Checkpoint checkpoint = open_checkpoint({dense_, false});
    const SavedTypes types(checkpoint, {"model.layers.0.q.weight"});
    const auto store = format.open(saved_, checkpoint, types);
    store->put_matrix("model.layers.0.q", matrix,
                      format.grids.matrix_size(packing::packed_shape(matrix)));
    return test::finish(*store);
  }

  [[nodiscard]] packing::CodedMatrix symmetric() {
    std::fill(matrix_.zero_point.begin(), matrix_.zero_point.end(), std::uint8_t{8});
    packing::CodedMatrix view = matrix_.view();
    view.symmetric = true;
    return view;
  }

  TemporaryFolder folder_;
  fs::path dense_ = folder_.path() / "dense";
  fs::path saved_ = folder_.path() / "saved";
  std::mt19937 engine_{11};
  test::CodedMatrixBuffers matrix_ =
      test::integer_matrix({32, 64, DType::kF32, {4}, 2, false, false, true}, engine_);
};

TEST_P(IntegerFolder, LooksLikeTheDenseModelWithExactValues) {
  const packing::CodedMatrix matrix = symmetric();
  const std::int64_t counted = save(matrix);
  const Checkpoint saved = open_checkpoint({saved_, false});
  EXPECT_EQ(saved.config, (nlohmann::json{{"model_type", "opt"}}));
  EXPECT_EQ(saved.tensors->tensors().size(), 4U);
  const containers::TensorData q = saved.tensors->read("model.layers.0.q.weight");
  EXPECT_EQ(q.info.dtype, DType::kF32);
  EXPECT_EQ(test::floats_of({q.bytes.begin(), q.bytes.end()}), test::values_of(matrix));
  ASSERT_EQ(saved.packed_matrices.size(), 1U);
  EXPECT_EQ(saved.packed_matrices[0].groups, 2);
  EXPECT_EQ(weight_file_bytes(saved.location), counted);
  const auto source = containers::open_safetensors(saved_ / "model.safetensors");
  std::size_t tensors = 0;
  for (const containers::TensorInfo& info : source->tensors()) tensors += info.bytes();
  EXPECT_EQ(static_cast<std::int64_t>(tensors) - saved.packed_matrices[0].size.total(),
            2 * (4 * 8 + 2 * 2 + 32));
  ASSERT_NE(saved.codes, nullptr);
  const packing::UnpackedCodes codes = saved.codes->read_codes("model.layers.0.q");
  EXPECT_EQ(codes.zero_point, matrix_.zero_point);
  EXPECT_EQ(codes.scale, matrix_.scale);
}

TEST_P(IntegerFolder, NamesTheLinearsThatStayDense) {
  save(symmetric());
  const std::string config = io::read_json_object(saved_ / "config.json").dump();
  EXPECT_THAT(config, HasSubstr("layers"));
  EXPECT_THAT(config, ::testing::Not(HasSubstr("embed")));
}

TEST_P(IntegerFolder, RefusesAMatrixThatIsThereTwice) {
  save(symmetric());
  const auto source = containers::open_safetensors(saved_ / "model.safetensors");
  std::vector<containers::TensorInfo> infos = source->tensors();
  infos.push_back({"model.layers.0.q.weight", DType::kF32, {1}});
  const fs::path twice = folder_.path() / "twice";
  fs::create_directory(twice);
  fs::copy_file(saved_ / "config.json", twice / "config.json");
  containers::SafetensorsWriter writer(twice, infos);
  for (const containers::TensorInfo& info : source->tensors()) {
    writer.put(info.name, source->read(info.name).bytes);
  }
  writer.put("model.layers.0.q.weight", std::vector<std::byte>(4));
  writer.finish();
  EXPECT_THAT(test::input_error([&] {
                (void)open_checkpoint({twice, false});
              }),
              HasSubstr("dense tensor"));
}

TEST_P(IntegerFolder, AnotherSizeThanPredictedIsABug) {
  const Format& format = find_format(GetParam());
  const Checkpoint checkpoint = open_checkpoint({dense_, false});
  const SavedTypes types(checkpoint, {"model.layers.0.q.weight"});
  const auto store = format.open(saved_, checkpoint, types);
  try {
    store->put_matrix("model.layers.0.q", symmetric(), {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, IntegerFolder,
                         ::testing::Values("gptq", "gptq-v1", "compressed-tensors"));

}  // namespace
}  // namespace sgpt_mi::formats

#include "sgpt_mi/formats/packed_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "support/packed_examples.h"
#include "support/temporary_folder.h"
#include "support/threads.h"

namespace sgpt_mi::formats {
namespace {

using test::bytes_of;
using test::input_error;
using test::TemporaryFolder;

namespace fs = std::filesystem;
using test::PackedForm;
using ::testing::AllOf;
using ::testing::HasSubstr;

containers::TensorData dense_tensor(const std::string& name, const std::string& text) {
  const auto owner = std::make_shared<const std::string>(text);
  return {{name, DType::kU8, {static_cast<std::int64_t>(text.size())}}, bytes_of(*owner), owner};
}

/// A folder with matrices "a.q" (quantized), "a.k" (pruned only) and "b.c" (entropy-coded) and the
/// dense "a.q.bias", "norm.weight".
class PackedFolder : public ::testing::Test {
 protected:
  void write(std::size_t shard_bytes) {
    std::mt19937 engine(4);
    PackedForm form;
    form.masked = true;
    form.groups = 4;
    form.widths = {3, 5};
    form.labels = true;
    q_ = test::random_matrix(form, engine);
    form.widths.clear();
    k_ = test::random_matrix(form, engine);
    PackedWriter writer(folder_.path(), shard_bytes);
    size_ = writer.put_matrix("a.q", q_.view());
    writer.put_dense(dense_tensor("a.q.bias", "bias"));
    size_ += writer.put_matrix("a.k", k_.view());
    writer.put_dense(dense_tensor("norm.weight", "norm!"));
    form = {};
    form.levels = form.column_scaled = true;
    c_ = test::random_matrix(form, engine);
    size_ += writer.put_matrix("b.c", c_.view());
    writer.finish({{"model_type", "opt"}});
  }

  void SetUp() override { write(1'000'000); }

  [[nodiscard]] Checkpoint open(ParallelFor parallel_for = serial_for()) const {
    return open_checkpoint({folder_.path(), false}, std::move(parallel_for));
  }

  [[nodiscard]] std::string open_error() const {
    return input_error([&] { (void)open(); });
  }

  /// The tensors of the folder's one safetensors file, by name.
  [[nodiscard]] std::map<std::string, packing::PackedPart> stored() const {
    std::map<std::string, packing::PackedPart> tensors;
    const auto source = containers::open_safetensors(folder_.path() / "model.safetensors");
    for (const containers::TensorInfo& info : source->tensors()) {
      const containers::TensorData data = source->read(info.name);
      tensors[info.name] = {{}, info, {data.bytes.begin(), data.bytes.end()}};
    }
    return tensors;
  }

  void store(const std::map<std::string, packing::PackedPart>& tensors) const {
    std::vector<containers::TensorInfo> infos;
    for (const auto& [name, tensor] : tensors) {
      infos.push_back(tensor.info);
      infos.back().name = name;
    }
    containers::SafetensorsWriter writer(folder_.path(), infos);
    for (const auto& [name, tensor] : tensors) writer.put(name, tensor.bytes);
    writer.finish();
  }

  void set_config(const std::string& quantization) const {
    (void)folder_.file("config.json",
                       R"({"model_type":"opt","quantization_config":)" + quantization + "}");
  }

  void expect_contents(const Checkpoint& checkpoint) const {
    std::vector<std::string> names;
    for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
      names.push_back(info.name);
      EXPECT_EQ(checkpoint.tensors->read(info.name).bytes.size(), info.bytes());
    }
    EXPECT_THAT(names, ::testing::UnorderedElementsAre("a.q.weight", "a.q.bias", "a.k.weight",
                                                       "b.c.weight", "norm.weight"));
    for (const auto& [name, matrix] :
         {std::pair("a.q", &q_), std::pair("a.k", &k_), std::pair("b.c", &c_)}) {
      const auto parts = packing::pack_matrix(name, matrix->view());
      const containers::TensorData data = checkpoint.tensors->read(std::string(name) + ".weight");
      EXPECT_EQ(data.info.shape, (std::vector<std::int64_t>{matrix->rows, matrix->columns}));
      EXPECT_EQ(std::vector(data.bytes.begin(), data.bytes.end()),
                packing::unpack_matrix(test::found(name, parts)));
    }
    const std::span<const std::byte> bias = checkpoint.tensors->read("a.q.bias").bytes;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bias.data()), bias.size()), "bias");
  }

  TemporaryFolder folder_;
  test::CodedMatrixBuffers q_;
  test::CodedMatrixBuffers k_;
  test::CodedMatrixBuffers c_;
  packing::PackedSize size_;
};

TEST_F(PackedFolder, LooksLikeTheDenseModel) {
  const Checkpoint checkpoint = open();
  expect_contents(checkpoint);
  expect_contents(open(test::threaded_for(2)));
  EXPECT_EQ(checkpoint.config, (nlohmann::json{{"model_type", "opt"}}));
  EXPECT_EQ(checkpoint.tensors->find("a.q.codes"), nullptr);
  EXPECT_THAT(input_error([&] { (void)checkpoint.tensors->read("a.q.codes"); }),
              HasSubstr("has no tensor 'a.q.codes'"));
}

TEST_F(PackedFolder, StatesItsBytesByPart) {
  const Checkpoint checkpoint = open();
  ASSERT_EQ(checkpoint.packed_matrices.size(), 3U);
  packing::PackedSize size;
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) size += matrix.size;
  EXPECT_EQ(size, size_);
  packing::PackedSize predicted = packing::predict_packed_size(packing::packed_shape(q_.view()));
  predicted += packing::predict_packed_size(packing::packed_shape(k_.view()));
  predicted += packing::packed_size(packing::pack_matrix("b.c", c_.view()));
  EXPECT_EQ(size, predicted);
  EXPECT_EQ(checkpoint.packed_matrices[0].name, "a.q");
}

TEST_F(PackedFolder, HandsOutLevels) {
  const packing::UnpackedCodes codes = open().codes->read_codes("b.c");
  EXPECT_EQ(codes.levels, c_.levels);
  EXPECT_EQ(codes.column_scale, c_.column_scale);
  EXPECT_EQ(codes.column_exponent, c_.column_exponent);
  EXPECT_TRUE(codes.codes.empty());
}

TEST_F(PackedFolder, ADamagedChunkIsNamed) {
  std::map<std::string, packing::PackedPart> tensors = stored();
  tensors["b.c.codes"].bytes[1] ^= std::byte{4};
  store(tensors);
  const Checkpoint checkpoint = open();
  EXPECT_THAT(input_error([&] { (void)checkpoint.tensors->read("b.c.weight"); }),
              AllOf(HasSubstr(folder_.path().string()), HasSubstr("matrix 'b.c'"),
                    HasSubstr("part b.c.codes has checksum"), HasSubstr("in chunk 0")));
}

TEST_F(PackedFolder, SplitsIntoShards) {
  fs::remove(folder_.path() / "model.safetensors");
  write(100);
  EXPECT_TRUE(fs::exists(folder_.path() / "model.safetensors.index.json"));
  EXPECT_FALSE(fs::exists(folder_.path() / "model.safetensors"));
  expect_contents(open());
}

TEST_F(PackedFolder, OtherVersionsAreRefused) {
  set_config(R"({"quant_method":"sgpt-mi","format_version":1,"matrices":[]})");
  EXPECT_THAT(open_error(), AllOf(HasSubstr("format_version 1"), HasSubstr("reads version 2")));
  set_config(R"({"quant_method":"sgpt-mi","format_version":"2","matrices":[]})");
  EXPECT_THAT(open_error(), HasSubstr("no \"format_version\""));
  set_config(R"({"quant_method":"sgpt-mi","matrices":[]})");
  EXPECT_THAT(open_error(), HasSubstr("no \"format_version\""));
}

TEST_F(PackedFolder, BadListsOfMatricesAreRefused) {
  const auto with_list = [&](const std::string& list) {
    set_config(R"({"quant_method":"sgpt-mi","format_version":2)" + list + "}");
    return open_error();
  };
  EXPECT_THAT(with_list(""), HasSubstr("no \"matrices\""));
  EXPECT_THAT(with_list(R"(,"matrices":"a.q")"), HasSubstr("no \"matrices\""));
  EXPECT_THAT(with_list(R"(,"matrices":["a.q",7])"), HasSubstr("lists 7 among its matrices"));
  EXPECT_THAT(with_list(R"(,"matrices":["a.q","a.q"])"), HasSubstr("'a.q' twice"));
  EXPECT_THAT(with_list(R"(,"matrices":["a.q"])"),
              AllOf(HasSubstr("tensor 'a.k."), HasSubstr("does not list")));
  EXPECT_THAT(with_list(R"(,"matrices":["a.q","a.k","a.v"])"), HasSubstr("a.v.packed is missing"));
  EXPECT_THAT(with_list(R"(,"matrices":["a.q","a.k","norm"])"),
              HasSubstr("dense tensor 'norm.weight' is there, too"));
}

TEST_F(PackedFolder, OtherMethodsAreLeftToTheModelRoom) {
  set_config(R"({"quant_method":"awq","bits":4})");
  const Checkpoint checkpoint = open();
  EXPECT_TRUE(checkpoint.config.contains("quantization_config"));
  EXPECT_TRUE(checkpoint.packed_matrices.empty());
  EXPECT_NE(checkpoint.tensors->find("a.q.codes"), nullptr);
}

TEST_F(PackedFolder, MissingAndSwappedPartsAreNamed) {
  const std::map<std::string, packing::PackedPart> good = stored();
  std::map<std::string, packing::PackedPart> bad = good;
  bad.erase("a.q.scale");
  store(bad);
  EXPECT_THAT(open_error(), AllOf(HasSubstr(folder_.path().string()), HasSubstr("matrix 'a.q'"),
                                  HasSubstr("a.q.scale is missing")));
  bad = good;
  std::swap(bad["a.q.mask"], bad["a.k.mask"]);  // equally long: found when it is read
  store(bad);
  const Checkpoint checkpoint = open();
  EXPECT_THAT(
      input_error([&] { (void)checkpoint.tensors->read("a.q.weight"); }),
      AllOf(HasSubstr(folder_.path().string()), HasSubstr("matrix 'a.q'"), HasSubstr("checksum")));
}

TEST_F(PackedFolder, CutFilesAreRefused) {
  const fs::path file = folder_.path() / "model.safetensors";
  for (std::size_t bytes = fs::file_size(file); bytes-- > 0;) {
    fs::resize_file(file, bytes);
    ASSERT_NE(open_error(), "");
  }
}

}  // namespace
}  // namespace sgpt_mi::formats

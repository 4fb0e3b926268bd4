#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>

#include "sgpt_mi/unpack/unpack_on.h"
#include "support/gpu.h"
#include "support/packed_examples.h"
#include "support/tiny_model.h"

namespace sgpt_mi::unpack {
namespace {

TEST(UnpackOnGpu, GivesTheBitsOfUnpackMatrix) {
  SGPT_MI_GPU_OR_SKIP();
  std::mt19937 engine(1);
  for (const test::PackedForm& form : test::packed_forms()) {
    const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
    const packing::PackedParts view = test::found("m", parts);
    const torch::Tensor there = unpack_on(torch::kCUDA, view);
    EXPECT_TRUE(there.is_cuda());
    const torch::Tensor here = there.cpu();
    const std::vector<std::byte> expected = packing::unpack_matrix(view);
    ASSERT_EQ(here.nbytes(), expected.size());
    EXPECT_EQ(std::memcmp(here.const_data_ptr(), expected.data(), expected.size()), 0)
        << form.rows << " rows, type " << static_cast<int>(form.dtype);
  }
}

constexpr const char* kPacked = "model.layers.0.self_attn.q_proj.weight";

/// A tiny LLaMA, one matrix of which lies packed: its dense form cannot be read.
class PackedTiny : public test::MemorySource, public formats::CodeSource {
 public:
  explicit PackedTiny(const std::vector<packing::PackedPart>& parts)
      : test::MemorySource(test::tiny_llama_tensors()), parts_(parts) {}

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    if (name == kPacked) throw std::logic_error("a packed matrix was read on the CPU");
    return test::MemorySource::read(name);
  }
  [[nodiscard]] std::optional<packing::PackedParts> packed_parts(
      const std::string& tensor) const override {
    if (tensor != kPacked) return std::nullopt;
    return test::found("m", parts_);
  }
  [[nodiscard]] packing::UnpackedCodes read_codes(const std::string& /*name*/) const override {
    throw std::logic_error("no codes were expected to be read");
  }

 private:
  const std::vector<packing::PackedPart>& parts_;
};

TEST(UnpackOnGpu, BlocksOfAPackedModelAreDecodedThere) {
  SGPT_MI_GPU_OR_SKIP();
  std::mt19937 engine(4);
  test::PackedForm form;
  const containers::TensorInfo info = *test::tiny_llama_tensors().find(kPacked);
  form.rows = info.shape[0];
  form.columns = info.shape[1];
  form.levels = true;
  const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
  const PackedTiny source(parts);
  const model::Model model(model::parse_model_spec(test::tiny_llama_config()), source, &source);
  const model::Placement where{torch::kCUDA, torch::kBFloat16};
  const std::vector<std::byte> expected = packing::unpack_matrix(test::found("m", parts));
  for (const bool ahead : {false, true}) {
    if (ahead) model.read_ahead(0, where);
    const torch::Tensor weight = model.load_block(0, where)->weight("self_attn.q_proj").cpu();
    ASSERT_EQ(weight.nbytes(), expected.size());
    EXPECT_EQ(std::memcmp(weight.const_data_ptr(), expected.data(), expected.size()), 0) << ahead;
  }
}

}  // namespace
}  // namespace sgpt_mi::unpack

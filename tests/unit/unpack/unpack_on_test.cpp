#include "sgpt_mi/unpack/unpack_on.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "support/packed_examples.h"
#include "support/temporary_folder.h"

// On the CPU, by the kernels' twins; tests/gpu has the same on a GPU.
namespace sgpt_mi::unpack {
namespace {

std::vector<std::byte> unpacked_here(const packing::PackedParts& parts) {
  const torch::Tensor values = unpack_on(torch::kCPU, parts);
  EXPECT_EQ(values.dim(), 2);
  std::vector<std::byte> bytes(values.nbytes());
  std::memcpy(bytes.data(), values.const_data_ptr(), bytes.size());
  return bytes;
}

TEST(UnpackOn, GivesTheBitsOfUnpackMatrix) {
  std::mt19937 engine(1);
  for (const test::PackedForm& form : test::packed_forms()) {
    const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
    const packing::PackedParts view = test::found("m", parts);
    EXPECT_EQ(unpacked_here(view), packing::unpack_matrix(view))
        << form.rows << " rows, type " << static_cast<int>(form.dtype) << ", " << form.groups
        << " groups of " << form.widths.size() << " widths";
  }
}

TEST(UnpackOn, RefusesDamageInTheWordsOfUnpackMatrix) {
  std::mt19937 engine(2);
  for (const test::PackedForm& form : test::packed_forms()) {
    const auto good = packing::pack_matrix("m", test::random_matrix(form, engine).view());
    for (std::size_t i = 1; i < good.size(); ++i) {
      auto bad = good;
      bad[i].bytes[bad[i].bytes.size() / 2] ^= std::byte{1};
      const packing::PackedParts view = test::found("m", bad);
      EXPECT_EQ(test::input_error([&] { (void)unpack_on(torch::kCPU, view); }),
                test::input_error([&] { (void)packing::unpack_matrix(view); }));
    }
  }
}

TEST(UnpackOn, RefusesAnotherNumberOfLevelsThanTheRecords) {
  std::mt19937 engine(3);
  test::PackedForm form;
  form.levels = true;
  auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
  constexpr std::size_t kStored = 24;  // where the record has it
  parts.front().bytes[kStored] ^= std::byte{1};
  test::reseal("m", parts);
  const packing::PackedParts view = test::found("m", parts);
  const std::string sentence = test::input_error([&] { (void)unpack_on(torch::kCPU, view); });
  EXPECT_NE(sentence.find("of its levels are not 0"), std::string::npos) << sentence;
  EXPECT_EQ(sentence, test::input_error([&] { (void)packing::unpack_matrix(view); }));
}

}  // namespace
}  // namespace sgpt_mi::unpack

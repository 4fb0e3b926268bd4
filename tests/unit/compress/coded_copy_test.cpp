#include "compress/coded_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/packed_size.h"
#include "support/random_tensor.h"

namespace sgpt_mi::compress {
namespace {

constexpr std::int64_t kRows = 24;
constexpr std::int64_t kColumns = 40;

/// Options of a kind of matrix, by name.
struct Kind {
  std::string name;
  obs::CompressOptions options;
};

std::vector<Kind> kinds() {
  obs::CompressOptions plain;
  plain.stored_scales = true;
  std::vector<Kind> all;
  const auto add = [&](const std::string& name, const auto& change) {
    all.push_back({name, plain});
    change(all.back().options);
  };
  add("levels", [](auto& options) { options.levels = obs::LevelOptions{4.0}; });
  add("levels, polished, half zeros", [](auto& options) {
    options.levels = obs::LevelOptions{4.0};
    options.sparsity = 0.5;
    options.refine = {.l0_sweeps = 1, .polish_sweeps = 2, .scale_step = true};
  });
  add("codes", [](auto& options) { options.wbits = 4; });
  add("codes in groups, half zeros", [](auto& options) {
    options.wbits = 3;
    options.groupsize = 8;
    options.sparsity = 0.5;
  });
  add("symmetric codes, 2:4", [](auto& options) {
    options.wbits = 4;
    options.symmetric = true;
    options.prune_n = 2;
    options.prune_m = 4;
  });
  for (const auto sharing :
       {quant::GridSharing::kRowGroup, quant::GridSharing::kColumn, quant::GridSharing::kGroup}) {
    add("groups of widths, shared " + std::to_string(static_cast<int>(sharing)),
        [&](auto& options) {
          options.groups.emplace();
          options.groups->sharing = sharing;
          options.groups->bits_of_group = {2, 4, 8};
          for (std::int32_t j = 0; j < kColumns; ++j) {
            options.groups->group_of_column.push_back(j * 7 % 3);
          }
        });
  }
  return all;
}

obs::CompressedMatrix compressed(const obs::CompressOptions& options) {
  return obs::compress_sparsegpt(test::normal(kRows, kColumns, 1),
                                 test::correlated_hessian(kColumns, 200, 2), options, "fc1")
      .matrix;
}

/// The float32 values that a file's reader makes of packed parts.
torch::Tensor unpacked(const std::vector<packing::PackedPart>& parts) {
  packing::PackedParts found;
  found.source = "memory";
  found.name = "fc1";
  for (const packing::PackedPart& part : parts) {
    found.parts[static_cast<std::size_t>(part.kind)] = {part.info, part.bytes, nullptr};
  }
  const std::vector<std::byte> bytes = packing::unpack_matrix(found);
  torch::Tensor values = at::empty({kRows, kColumns}, torch::kFloat32);
  EXPECT_EQ(bytes.size(), values.nbytes());
  std::memcpy(values.data_ptr(), bytes.data(), values.nbytes());
  return values;
}

bool same_bytes(const std::vector<packing::PackedPart>& a,
                const std::vector<packing::PackedPart>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.kind == other.kind && one.bytes == other.bytes;
  });
}

TEST(CodedCopy, AReaderGetsTheValuesThatWereComputedWith) {
  for (const Kind& kind : kinds()) {
    const obs::CompressedMatrix matrix = compressed(kind.options);
    for (const bool entropy : {false, true}) {
      SCOPED_TRACE(kind.name + (entropy ? ", coded" : ""));
      const CodedCopy copy(matrix, matrix.weight, kind.options, DType::kF32, entropy);
      const bool levels = entropy || matrix.level_grid;
      EXPECT_EQ(copy.view().levels.empty(), !levels);
      EXPECT_EQ(copy.view().codes.empty(), levels);
      const std::vector<packing::PackedPart> parts = packing::pack_matrix("fc1", copy.view());
      // Zeros of both signs are equal.
      EXPECT_TRUE(unpacked(parts).equal(matrix.weight));
      EXPECT_EQ(copy.size("fc1", {}), packing::packed_size(parts));
      EXPECT_EQ(copy.size("fc1", {}).tables > 0, levels);
      const CodedCopy again(matrix, matrix.weight, kind.options, DType::kF32, entropy,
                            copy.coded());
      EXPECT_EQ(again.view().coded, levels ? copy.coded().get() : nullptr);
      packing::CodedMatrix uncoded = again.view();
      uncoded.coded = nullptr;
      EXPECT_TRUE(same_bytes(packing::pack_matrix("fc1", uncoded), parts));
    }
  }
}

TEST(CodedCopy, LevelsOfCodesCountFromTheZeroPoint) {
  obs::CompressOptions options;
  options.stored_scales = true;
  options.wbits = 3;
  options.groupsize = 8;
  options.sparsity = 0.5;
  const obs::CompressedMatrix matrix = compressed(options);
  const CodedCopy copy(matrix, matrix.weight, options, DType::kF32, true);
  const torch::Tensor expected =
      (matrix.codes.to(torch::kFloat32) - matrix.zero_point.index_select(1, matrix.group_of_column))
          .masked_fill(matrix.pruned, 0.0);
  ASSERT_EQ(copy.view().levels.size(), static_cast<std::size_t>(kRows * kColumns));
  std::int64_t zeros = 0;
  for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
    const auto level = copy.view().levels[static_cast<std::size_t>(i)];
    ASSERT_EQ(level, expected.flatten()[i].item<float>()) << i;
    zeros += level == 0 ? 1 : 0;
  }
  EXPECT_GE(zeros, kRows * kColumns / 2);
}

}  // namespace
}  // namespace sgpt_mi::compress

#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstring>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/obs/curves.h"

namespace sgpt_mi::test {

/// Same shape, type and bytes.
inline bool same_bytes(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  const torch::Tensor left = a.cpu().contiguous();
  const torch::Tensor right = b.cpu().contiguous();
  return left.sizes() == right.sizes() && left.scalar_type() == right.scalar_type() &&
         std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

/// Fails unless two compressions gave the same in every bit.
inline void expect_same(const obs::CompressResult& a, const obs::CompressResult& b) {
  EXPECT_TRUE(same_bytes(a.matrix.weight, b.matrix.weight));
  EXPECT_TRUE(same_bytes(a.matrix.pruned, b.matrix.pruned));
  EXPECT_TRUE(same_bytes(a.matrix.codes, b.matrix.codes));
  EXPECT_TRUE(same_bytes(a.matrix.scale, b.matrix.scale));
  EXPECT_TRUE(same_bytes(a.matrix.zero_point, b.matrix.zero_point));
  EXPECT_TRUE(same_bytes(a.matrix.group_of_column, b.matrix.group_of_column));
  EXPECT_EQ(a.matrix.bits_of_group, b.matrix.bits_of_group);
  EXPECT_EQ(a.matrix.scale_exponent, b.matrix.scale_exponent);
  EXPECT_EQ(a.matrix.weight.device(), b.matrix.weight.device());
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.output_error, b.output_error);
  EXPECT_EQ(a.output_energy, b.output_energy);
  EXPECT_EQ(a.sparsity, b.sparsity);
  EXPECT_EQ(a.dead_channels, b.dead_channels);
}

inline void expect_same(const obs::PruneCurve& a, const obs::PruneCurve& b) {
  EXPECT_TRUE(same_bytes(a.weight, b.weight));
  EXPECT_TRUE(same_bytes(a.pruned, b.pruned));
  ASSERT_EQ(a.levels.size(), b.levels.size());
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    EXPECT_EQ(a.levels[i].sparsity, b.levels[i].sparsity);
    EXPECT_EQ(a.levels[i].damage, b.levels[i].damage);
  }
}

}  // namespace sgpt_mi::test

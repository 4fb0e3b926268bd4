#pragma once

#include <c10/core/DeviceGuard.h>
#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {

/// A matrix cut into runs of neighbouring rows, one run a device or rank: CompressOptions::rows.
/// The parts are those of this rank; gather() gives all rows to every rank.
///
/// Whatever mixes rows is done so that the cut cannot be told from the result: thresholds from the
/// values of all parts, sums over whole matrices on the first device or over products in their
/// order. What stays within a row goes part by part through each(); as launches do not wait, the
/// devices then work at the same time as long as nothing is read back before the last launch.
class RowSplit {
 public:
  /// \param weight  (rows, N), on the first device of options.rows.
  /// One part where options.rows does not ask for more, the rows fill one product only, they share
  /// grids, are levels, or are shared by ranks; all rows in it where shares_rows() is false.
  RowSplit(const torch::Tensor& weight, const CompressOptions& options);

  [[nodiscard]] std::size_t size() const { return parts_.size(); }
  /// The ranks that share the rows; this one alone where they do not.
  [[nodiscard]] const ranks::World& world() const { return world_; }
  [[nodiscard]] std::int64_t product_rows() const { return product_rows_; }

  /// `input` on the device of a part. Throws Error(kInternal) when it was prepared for fewer.
  [[nodiscard]] const PreparedInput& input_of(std::size_t part, const PreparedInput& input) const;

  /// Of a tensor with all rows, (rows, ...), those of each part, on its device: views where that is
  /// the tensor's.
  [[nodiscard]] std::vector<torch::Tensor> scatter(const torch::Tensor& tensor) const;

  /// Runs work(part) for every part, its device being the current one.
  template <typename Work>
  void each(const Work& work) const {
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      const c10::DeviceGuard guard(parts_[part].device);
      work(part);
    }
  }

  /// The tensors of of_part(part), one below the other, those of all ranks, on the first device.
  template <typename OfPart>
  [[nodiscard]] torch::Tensor gather(const OfPart& of_part) const {
    std::vector<torch::Tensor> tensors;
    tensors.reserve(parts_.size());
    for (std::size_t part = 0; part < parts_.size(); ++part) tensors.push_back(of_part(part));
    return join(tensors);
  }

 private:
  struct Part {
    torch::Device device;
    std::int64_t first;
    std::int64_t rows;
  };

  [[nodiscard]] torch::Tensor join(std::vector<torch::Tensor>& tensors) const;

  std::int64_t product_rows_;
  ranks::World world_;
  std::vector<Part> parts_;
};

/// Offsets and factors of the grids grid_of(part), one below the other, where they are in blocks.
template <typename GridOf>
void take_blocks(CompressedMatrix& matrix, const RowSplit& split, const GridOf& grid_of) {
  const quant::Grid& first = grid_of(std::size_t{0});
  if (!first.blocks) return;
  if (first.offset.defined()) {
    matrix.offset = split.gather([&](std::size_t i) { return grid_of(i).offset; });
  }
  const auto gather = [&](torch::Tensor quant::BlockFactors::*factor) {
    return split.gather([&](std::size_t i) { return (*grid_of(i).blocks).*factor; });
  };
  using Factors = quant::BlockFactors;
  matrix.blocks =
      Factors{first.blocks->type, gather(&Factors::super_scale), gather(&Factors::super_minimum),
              gather(&Factors::sub_scale), gather(&Factors::sub_minimum)};
}

/// The input with copies on further devices: PreparedInput::copies.
void copy_to_devices(PreparedInput& input, const RowPlacement& placement);

}  // namespace sgpt_mi::obs

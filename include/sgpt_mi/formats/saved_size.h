#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/packed_size.h"

namespace sgpt_mi::formats {

/// A matrix that is compressed: the tensor NAME.weight.
struct MatrixShape {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  [[nodiscard]] std::string tensor() const { return name + ".weight"; }
};

/// What a saved model takes that does not depend on the chosen widths.
struct FixedSize {
  std::int64_t dense_bytes = 0;       ///< tensors that stay as they are
  std::int64_t header_bytes = 0;      ///< at most, of the safetensors files
  std::int64_t selected_weights = 0;  ///< weights of the matrices to compress
};

/// \param parts  tensors that a selected matrix is stored as, at most.
[[nodiscard]] FixedSize fixed_size(const SavedTypes& types,
                                   const std::vector<MatrixShape>& selected,
                                   std::size_t parts = packing::kPackedPartKinds);

/// Tensor data of a saved model by part: "dense", and of packed matrices "codes", "mask" ...
[[nodiscard]] std::map<std::string, std::int64_t> bytes_by_part(std::int64_t dense_bytes,
                                                                const packing::PackedSize& packed);

/// Throws Error(kInput) when the disk on which `target` is to appear has less room than `bytes`.
void require_space(const std::filesystem::path& target, std::int64_t bytes);

/// Bytes of the files that hold a model's weights, as they lie on the disk.
[[nodiscard]] std::int64_t weight_file_bytes(const ModelLocation& location);

}  // namespace sgpt_mi::formats

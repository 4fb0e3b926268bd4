#include "sgpt_mi/inspect/packed_totals.h"

#include <algorithm>
#include <string>

#include "sgpt_mi/formats/saved_size.h"

namespace sgpt_mi::inspect {
namespace {

/// Embeddings and heads count in the bytes, and not among the linears' weights and bits.
bool is_end(const std::string& matrix) {
  return matrix.ends_with("embed_tokens") || matrix.ends_with("lm_head");
}

}  // namespace

std::optional<report::TotalsReport> packed_totals(const formats::Checkpoint& checkpoint) {
  if (checkpoint.packed_matrices.empty()) return std::nullopt;
  std::int64_t dense_bytes = 0;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
    dense_bytes += static_cast<std::int64_t>(info.bytes());
  }
  report::TotalsReport totals;
  packing::PackedSize packed;
  std::int64_t linears = 0;  // bytes
  std::int64_t kept = 0;
  double code_bits = 0.0;
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    dense_bytes -= static_cast<std::int64_t>(matrix.dense.bytes());
    packed += matrix.size;
    if (is_end(matrix.name)) continue;
    linears += matrix.size.total();
    totals.weights += matrix.dense.count();
    kept += matrix.stored;
    if (matrix.tables > 0) {
      code_bits += 8.0 * static_cast<double>(matrix.size.codes + matrix.size.tables);
      totals.bit_histogram["coded"] += matrix.dense.count();
    }
    for (std::size_t width = 0; width < packing::kWidths; ++width) {
      const std::int64_t weights = matrix.weights_of_width[width];
      if (weights == 0) continue;
      const std::size_t bits = width == 0 ? 8 * dtype_size(matrix.dense.dtype) : width;
      code_bits += static_cast<double>(bits) * static_cast<double>(weights);
      totals.bit_histogram[std::to_string(bits)] += weights;
    }
  }
  const auto weights = static_cast<double>(std::max<std::int64_t>(1, totals.weights));
  totals.sparsity = 1.0 - static_cast<double>(kept) / weights;
  totals.average_code_bits = code_bits / weights;
  totals.stored_bits_per_weight = 8.0 * static_cast<double>(linears) / weights;
  totals.bytes = formats::weight_file_bytes(checkpoint.location);
  totals.bytes_by_part = formats::bytes_by_part(dense_bytes, packed);
  totals.bytes_by_part["headers"] = totals.bytes - dense_bytes - packed.total();
  return totals;
}

}  // namespace sgpt_mi::inspect

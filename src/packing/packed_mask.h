#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "packed_record.h"
#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::packing {

/// The bitmask of `weights` flags: bit set where `pruned` is 0.
[[nodiscard]] std::vector<std::byte> pack_bitmask(std::span<const std::uint8_t> pruned);

/// A bitmask's N:M ranks.
/// Throws Error(kInternal) when some m neighbours do not have exactly n zeros.
[[nodiscard]] std::vector<std::byte> pack_ranks(std::span<const std::byte> bitmask,
                                                std::int64_t weights, int prune_n, int prune_m);

/// (2^rank_bits) the kept weights of each rank of an N:M mask, bit i for weight i; 0xff for numbers
/// that are no rank.
[[nodiscard]] std::vector<std::uint8_t> patterns_of_ranks(int prune_n, int prune_m);

/// The bitmask of a matrix in layout 1 or 2: NAME.mask itself, or made from its ranks.
class KeptBits {
 public:
  /// Throws Error(kInput) for a rank that no set has, and unused bits that are not 0.
  KeptBits(const PackedParts& parts, const PackedRecord& record, const ParallelFor& parallel_for);

  /// (weights + 7) / 8 bytes.
  [[nodiscard]] const std::uint8_t* data() const {
    return reinterpret_cast<const std::uint8_t*>(bits_.data());
  }

 private:
  std::vector<std::byte> made_;
  std::span<const std::byte> bits_;
};

}  // namespace sgpt_mi::packing

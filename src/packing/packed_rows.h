#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "packed_columns.h"
#include "packed_mask.h"
#include "packed_record.h"
#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::packing {

/// Where the weights of each row begin in the streams of a packed matrix.
class PackedRows {
 public:
  /// Counts the mask's bits. Throws Error(kInput) when they are not as many as the record says.
  PackedRows(const PackedParts& parts, const PackedRecord& record, StreamOrder order,
             const ParallelFor& parallel_for);

  [[nodiscard]] const StreamOrder& order() const { return order_; }
  [[nodiscard]] bool masked() const { return kept_.has_value(); }

  /// Stored weights of run `run` before row `row`; row may be the number of rows.
  [[nodiscard]] std::int64_t first(std::int64_t row, std::size_t run) const {
    if (!masked()) return row * order_.runs[run].columns();
    return starts_[static_cast<std::size_t>(row) * order_.runs.size() + run];
  }

  /// Sets kept[j], 0 or 1, for the row's columns. Only for masked matrices.
  void load_kept(std::int64_t row, std::uint8_t* kept) const;

 private:
  void count_rows(std::int64_t begin, std::int64_t end);

  std::int64_t rows_;
  std::int64_t columns_;
  StreamOrder order_;
  std::optional<KeptBits> kept_;
  std::vector<std::int64_t> starts_;  // (rows + 1, runs)
};

/// Reads the codes of a packed matrix row by row.
class PackedCodes {
 public:
  /// Throws Error(kInput) when the streams are not as long as rows and mask demand, or unused bits
  /// are not 0.
  PackedCodes(const PackedParts& parts, PackedPartKind kind, const PackedRows& rows,
              std::int64_t row_count);

  /// Memory that reading a row needs, for reuse.
  struct Scratch {
    explicit Scratch(std::int64_t columns)
        : kept(static_cast<std::size_t>(columns)), taken(static_cast<std::size_t>(columns) + 1) {}
    std::vector<std::uint8_t> kept;   ///< of the row read last, when masked
    std::vector<std::uint8_t> taken;  ///< codes of one run; one more may be read than is there
  };

  /// The codes of run `run`, from the first row on.
  [[nodiscard]] std::span<const std::byte> stream(std::size_t run) const;

  /// The row's codes in natural order; where a weight is pruned, any code below 256.
  void read_row(std::int64_t row, Scratch& scratch, std::uint8_t* codes) const;

 private:
  const PackedRows& rows_;
  std::int64_t row_count_;
  std::vector<const std::uint8_t*> streams_;  // one per run
};

}  // namespace sgpt_mi::packing

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/packed_size.h"

namespace sgpt_mi::formats {

/// Whether a format's grids are symmetric: every zero point at half of the codes' range.
enum class Symmetry : std::uint8_t {
  kAsAsked,  ///< either, by --sym
  kImplied,  ///< symmetric unless --sym=false is typed
  kOnly      ///< symmetric
};

/// Which grids a format holds and what they take: all that the rest of the program knows of it when
/// it checks options, fits grids and plans sizes. The default is the packed format's: everything.
struct GridLimits {
  std::span<const int> widths = {};      ///< of codes; empty: 2 to 8
  std::string_view missing_widths = {};  ///< why others are not held, for the user
  /// Columns that share a grid, besides the whole row; empty: any number.
  std::span<const std::int64_t> group_sizes = {};
  bool any_order = true;      ///< the columns of a group need not be neighbours
  bool column_widths = true;  ///< columns of one tensor may differ in width
  bool shared_rows = true;    ///< rows may share their grids
  bool pruned_only = true;    ///< holds matrices without codes
  bool levels = true;         ///< holds entropy-coded levels, with steps by row and column
  /// Widths differ by tensor only where a flag asks for it (--target_avg_bits and its like).
  bool one_width = false;
  Symmetry symmetry = Symmetry::kAsAsked;
  /// Scales are float16 times 2 to this power; unset: to a power that suits each matrix.
  std::optional<int> scale_exponent = {};
  /// Values are kept as float32 products of scale and code, not rounded to the checkpoint's type.
  bool exact_values = false;
  std::string_view mixed_note = {};       ///< for the user, where widths may differ by tensor
  std::string_view asymmetric_note = {};  ///< for the user, where grids are asymmetric
  /// Rows and columns that codes of `bits` need to be multiples of: 1 where all will do.
  std::int64_t (*multiple_of)(int bits) = nullptr;
  /// Bytes of a matrix, exactly, without the entries of file headers.
  packing::PackedSize (*matrix_size)(const packing::PackedShape&) = packing::predict_packed_size;

  [[nodiscard]] bool holds_width(int bits) const;
};

/// What a run would ask a format to hold.
struct GridRequest {
  std::vector<int> widths;       ///< that some tensor may get
  std::int64_t group_size = -1;  ///< neighbouring columns; -1: the row, or groups of other kinds
  bool sorted_groups = false;    ///< groups follow another order of the columns
  bool column_widths = false;    ///< columns of one tensor may differ in width
  bool shared_rows = false;      ///< rows share their grids
  bool symmetric = false;
};

/// Throws Error(kUsage) naming what `format` cannot hold and the nearest that it can.
void require_held(const GridLimits& limits, const GridRequest& request, std::string_view format);

/// Why a matrix with these grids cannot be held as it is, for "NAME has ..."; empty: it can.
[[nodiscard]] std::string why_not_held(const GridLimits& limits,
                                       const packing::CodedMatrix& matrix);

/// Throws Error(kUsage) where groups of columns are declared by their number, and the last one of
/// the matrix would be smaller than `group_size` (-1: whole rows).
void require_whole_groups(const GridLimits& limits, const std::string& name, std::int64_t columns,
                          std::int64_t group_size, std::string_view format);

/// The same as require_held() for the shape of one matrix.
void require_shape(const GridLimits& limits, const std::string& name, std::int64_t rows,
                   std::int64_t columns, int bits, std::string_view format);

}  // namespace sgpt_mi::formats

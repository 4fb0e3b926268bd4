#include "sgpt_mi/formats/grid_limits.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::formats {
namespace {

/// The value next to `wanted`, the larger one when two are as near. They ascend.
template <typename T>
T nearest(std::span<const T> values, T wanted) {
  return *std::min_element(values.rbegin(), values.rend(),
                           [&](T a, T b) { return std::abs(a - wanted) < std::abs(b - wanted); });
}

void require_group_size(const GridLimits& limits, const GridRequest& request,
                        std::string_view format) {
  const auto& sizes = limits.group_sizes;
  if (sizes.empty() || request.group_size == -1) return;
  if (std::find(sizes.begin(), sizes.end(), request.group_size) != sizes.end()) return;
  fail(ErrorKind::kUsage,
       "groupsize: {} is not held by format {}, which has -1 and {}; the nearest is --groupsize {}",
       request.group_size, format, fmt::join(sizes, ", "), nearest(sizes, request.group_size));
}

/// Whether every group of columns is a run of neighbours, all of one length.
bool has_equal_runs(const packing::CodedMatrix& matrix) {
  const auto groups = static_cast<std::int64_t>(matrix.bits_of_group.size());
  return groups == 1 || (matrix.columns % groups == 0 &&
                         packing::packed_run_length(matrix) == matrix.columns / groups);
}

/// Whether the columns of a matrix can be declared as groups of one of the sizes.
bool has_groups_of(const GridLimits& limits, const packing::CodedMatrix& matrix) {
  const auto groups = static_cast<std::int64_t>(matrix.bits_of_group.size());
  if (limits.group_sizes.empty() || groups == 1) return true;
  const std::int64_t least = limits.group_sizes.front();
  return groups <= (matrix.columns + least - 1) / least;
}

}  // namespace

bool GridLimits::holds_width(int bits) const {
  return widths.empty() ? bits >= 2 && bits <= 8
                        : std::find(widths.begin(), widths.end(), bits) != widths.end();
}

void require_held(const GridLimits& limits, const GridRequest& request, std::string_view format) {
  for (const int bits : request.widths) {
    if (limits.holds_width(bits)) continue;
    fail(ErrorKind::kUsage,
         "wbits: codes of {} bits are not held by format {}, which has {}{}; the "
         "nearest is {}",
         bits, format, fmt::join(limits.widths, ", "), limits.missing_widths,
         nearest(limits.widths, bits));
  }
  require_group_size(limits, request, format);
  if (request.column_widths && !limits.column_widths) {
    fail(
        ErrorKind::kUsage,
        "format: {} has one width for all columns of a matrix; use --method rd without --n_groups, "
        "which gives matrices widths, or --format packed",
        format);
  }
  if (request.shared_rows && !limits.shared_rows) {
    fail(ErrorKind::kUsage,
         "format: {} has a grid for every row; use --share scale, or --format "
         "packed",
         format);
  }
  if (request.sorted_groups && !limits.any_order) {
    fail(ErrorKind::kUsage,
         "format: in {} the columns of a group are neighbours; leave out --act_order or add "
         "--static_groups, and leave out --n_groups; or use --format gptq",
         format);
  }
  if (request.widths.empty() && !limits.pruned_only) {
    fail(ErrorKind::kUsage,
         "format: {} holds codes, and nothing is quantized; give --wbits, or use --format hf",
         format);
  }
  if (!request.symmetric && limits.symmetry == Symmetry::kOnly) {
    fail(ErrorKind::kUsage,
         "format: {} has symmetric grids only; leave out --sym=false, or use --format gptq",
         format);
  }
}

std::string why_not_held(const GridLimits& limits, const packing::CodedMatrix& matrix) {
  if (!matrix.levels.empty()) {
    if (limits.levels) return {};
    return "entropy-coded levels with a step of their own for every row and column";
  }
  const std::span<const int> bits = matrix.bits_of_group;
  const auto other =
      std::find_if(bits.begin(), bits.end(), [&](int width) { return !limits.holds_width(width); });
  if (other != bits.end()) return fmt::format("codes of {} bits", *other);
  const bool mixed =
      std::adjacent_find(bits.begin(), bits.end(), std::not_equal_to<>()) != bits.end();
  if (mixed && !limits.column_widths) return "columns of several widths";
  if (matrix.grid_rows != matrix.rows && !limits.shared_rows) return "grids that rows share";
  if (!limits.any_order && !has_equal_runs(matrix))
    return "groups of columns that are no neighbours";
  if (!has_groups_of(limits, matrix)) return fmt::format("{} groups of columns", bits.size());
  if (!matrix.symmetric && limits.symmetry == Symmetry::kOnly) return "asymmetric grids";
  if (limits.multiple_of != nullptr) {
    const std::int64_t multiple = limits.multiple_of(bits.front());
    if (matrix.rows % multiple != 0 || matrix.columns % multiple != 0) {
      return fmt::format("{} x {} codes of {} bits", matrix.rows, matrix.columns, bits.front());
    }
  }
  return {};
}

void require_whole_groups(const GridLimits& limits, const std::string& name, std::int64_t columns,
                          std::int64_t group_size, std::string_view format) {
  if (limits.any_order || group_size == -1 || columns % group_size == 0) return;
  std::int64_t nearest = group_size - 1;
  while (columns % nearest != 0) --nearest;
  fail(ErrorKind::kUsage,
       "groupsize: {} has {} columns, which are not whole groups of {}, and {} has no smaller last "
       "group; use --groupsize {}, or --format packed",
       name, columns, group_size, format, nearest);
}

void require_shape(const GridLimits& limits, const std::string& name, std::int64_t rows,
                   std::int64_t columns, int bits, std::string_view format) {
  if (limits.multiple_of == nullptr) return;
  const std::int64_t multiple = limits.multiple_of(bits);
  if (rows % multiple == 0 && columns % multiple == 0) return;
  int nearest = 0;
  for (const int other : limits.widths) {
    const std::int64_t divisor = limits.multiple_of(other);
    const bool held = rows % divisor == 0 && columns % divisor == 0;
    if (held && (nearest == 0 || std::abs(other - bits) < std::abs(nearest - bits)))
      nearest = other;
  }
  fail(ErrorKind::kUsage,
       "format: {} is {} x {}, and readers of {} take matrices of {} bits only where {} divides "
       "both; use {}--format packed",
       name, rows, columns, format, bits, multiple,
       nearest == 0 ? ""
                    : fmt::format("--wbits {} (where widths are planned, --levels without {}), or ",
                                  nearest, bits));
}

}  // namespace sgpt_mi::formats

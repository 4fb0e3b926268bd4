#include "sgpt_mi/kernels/correlation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/simd.h"
#include "shapes.h"

namespace sgpt_mi::kernels {
namespace {

constexpr std::int64_t kTile = 64;  // a tile of floats and its transpose stay in the L1 cache

/// Neighbouring channels and their second moments with another one.
struct Partners {
  const float* moment;
  const double* mean;
  const double* inverse_deviation;
  std::int64_t count;
};

SGPT_MI_SIMD_CLONES void correlate_row(const Partners& partners, Channel own, double share,
                                       double cap, float* __restrict rho) {
  const float* __restrict moment = partners.moment;
  const double* __restrict mean = partners.mean;
  const double* __restrict inverse = partners.inverse_deviation;
  for (std::int64_t j = 0; j < partners.count; ++j) {
    const double second_moment = static_cast<double>(moment[j]) * share;
    rho[j] = correlation_of(second_moment, own, {mean[j], inverse[j]}, cap);
  }
}

SGPT_MI_SIMD_CLONES void take_magnitude(float* __restrict values, std::int64_t count) {
  for (std::int64_t j = 0; j < count; ++j) values[j] = std::fabs(values[j]);
}

SGPT_MI_SIMD_CLONES void take_nats(float* __restrict values, std::int64_t count) {
  for (std::int64_t j = 0; j < count; ++j) {
    const auto rho = static_cast<double>(values[j]);
    values[j] = static_cast<float>(nats_of_square(rho * rho));
  }
}

/// The correlations of channels first_row ... with channels first_column ..., on or right of the
/// diagonal.
class Tile {
 public:
  Tile(const CorrelationMap& map, std::int64_t row, std::int64_t column)
      : map_(map),
        row_(row),
        column_(column),
        rows_(std::min(kTile, map.second_moment_sum.rows - row)),
        columns_(std::min(kTile, map.second_moment_sum.rows - column)) {}

  void run() {
    for (std::int64_t i = 0; i < rows_; ++i) {
      const std::int64_t from = row_ == column_ ? i + 1 : 0;  // the diagonal is set apart
      const std::int64_t j = column_ + from;
      const Channel own{map_.mean[row_ + i], map_.inverse_deviation[row_ + i]};
      const Partners partners{map_.second_moment_sum.row(row_ + i) + j, map_.mean + j,
                              map_.inverse_deviation + j, columns_ - from};
      correlate_row(partners, own, map_.share, map_.cap, at(i) + from);
    }
    if (row_ == column_) mirror();
    set_diagonal(true);
    store(map_.rho);
    if (map_.strength.data == nullptr && map_.nats.data == nullptr) return;
    set_diagonal(false);
    for (std::int64_t i = 0; i < rows_; ++i) take_magnitude(at(i), columns_);
    store(map_.strength);
    if (map_.nats.data == nullptr) return;
    for (std::int64_t i = 0; i < rows_; ++i) take_nats(at(i), columns_);
    store(map_.nats);
  }

 private:
  [[nodiscard]] float* at(std::int64_t row) {
    return &values_[static_cast<std::size_t>(row * kTile)];
  }

  void mirror() {
    for (std::int64_t i = 0; i < rows_; ++i) {
      for (std::int64_t j = 0; j < i; ++j) at(i)[j] = at(j)[i];
    }
  }

  /// To 1 for channels that vary, if wanted, else to 0.
  void set_diagonal(bool own) {
    if (row_ != column_) return;
    for (std::int64_t i = 0; i < rows_; ++i) {
      at(i)[i] = own && map_.inverse_deviation[row_ + i] > 0.0 ? 1.0F : 0.0F;
    }
  }

  /// Writes the tile and its transpose.
  void store(const MatrixView<float>& to) {
    if (to.data == nullptr) return;
    for (std::int64_t i = 0; i < rows_; ++i) {
      std::copy_n(at(i), columns_, to.row(row_ + i) + column_);
    }
    if (row_ == column_) return;
    for (std::int64_t j = 0; j < columns_; ++j) {
      float* out = to.row(column_ + j) + row_;
      const float* from = values_.data() + j;
      for (std::int64_t i = 0; i < rows_; ++i) out[i] = from[i * kTile];
    }
  }

  const CorrelationMap& map_;
  std::int64_t row_;
  std::int64_t column_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::array<float, static_cast<std::size_t>(kTile* kTile)> values_;
};

void check_correlation(const CorrelationMap& map) {
  const std::int64_t channels = map.second_moment_sum.rows;
  ensure(has_shape(map.second_moment_sum, channels, channels),
         "correlate: the second moment is not square");
  ensure(map.mean != nullptr && map.inverse_deviation != nullptr,
         "correlate: means or deviations are missing");
  ensure(map.cap > 0.0 && map.cap <= 1.0 && (map.nats.data == nullptr || map.cap < 1.0),
         "correlate: the cap is outside its range");
  for (const MatrixView<float>* out : {&map.rho, &map.strength, &map.nats}) {
    ensure(out->data == nullptr || has_shape(*out, channels, channels),
           "correlate: a map is not (N, N)");
  }
}

}  // namespace

void correlate(const CorrelationMap& map, const Backend& backend) {
  if (map.second_moment_sum.rows == 0) return;
  check_correlation(map);
  if (backend.cuda) return cuda::correlate(map, backend.cuda_stream);
  const std::int64_t side = (map.second_moment_sum.rows + kTile - 1) / kTile;
  // Row k of tiles has side - k of them: with row side - 1 - k beside it, all shares are equal.
  backend.parallel_for((side + 1) / 2, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      for (std::int64_t column = k; column < side; ++column) {
        Tile(map, k * kTile, column * kTile).run();
      }
      const std::int64_t other = side - 1 - k;
      if (other == k) continue;
      for (std::int64_t column = other; column < side; ++column) {
        Tile(map, other * kTile, column * kTile).run();
      }
    }
  });
}

}  // namespace sgpt_mi::kernels

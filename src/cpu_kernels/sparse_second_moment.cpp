#include "sgpt_mi/cpu_kernels/sparse_second_moment.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Floats of the rows of second_moment that one thread sums at a time: 256 KiB stay in its cache.
constexpr std::int64_t kBlockFloats = 1 << 16;

/// Tokens whose zeros one thread removes at a time.
constexpr std::int64_t kGrain = 64;

/// The non-zeros of a matrix, row by row: those of row t are first[t] .. first[t + 1] - 1.
struct SparseRows {
  std::vector<std::int64_t> first;
  std::vector<std::int32_t> channel;
  std::vector<float> value;
};

/// Lists one row's non-zeros and returns how many there are; writes up to `columns` places.
std::int64_t list_nonzeros(const float* row, std::int64_t columns, std::int32_t* channel,
                           float* value) {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < columns; ++j) {  // no branch: zeros come unforeseeably
    channel[count] = static_cast<std::int32_t>(j);
    value[count] = row[j];
    count += row[j] != 0.0F ? 1 : 0;
  }
  return count;
}

SparseRows remove_zeros(const kernels::MatrixView<const float>& x,
                        const ParallelFor& parallel_for) {
  SparseRows rows;
  rows.first.resize(static_cast<std::size_t>(x.rows) + 1);
  parallel_for(x.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const auto zeros = std::count(x.row(t), x.row(t) + x.columns, 0.0F);
      rows.first[static_cast<std::size_t>(t) + 1] = x.columns - zeros;
    }
  });
  for (std::size_t t = 1; t < rows.first.size(); ++t) rows.first[t] += rows.first[t - 1];
  rows.channel.resize(static_cast<std::size_t>(rows.first.back()));
  rows.value.resize(rows.channel.size());
  parallel_for(x.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int32_t> channel(static_cast<std::size_t>(x.columns));
    std::vector<float> value(channel.size());
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t count = list_nonzeros(x.row(t), x.columns, channel.data(), value.data());
      const std::int64_t place = rows.first[static_cast<std::size_t>(t)];
      std::copy_n(channel.data(), count, rows.channel.data() + place);
      std::copy_n(value.data(), count, rows.value.data() + place);
    }
  });
  return rows;
}

/// One token's non-zeros, by rising channel.
struct Token {
  const std::int32_t* channel;
  const float* value;
  std::int64_t count;
};

Token token_of(const SparseRows& rows, std::size_t t) {
  const std::int64_t place = rows.first[t];
  return {rows.channel.data() + place, rows.value.data() + place, rows.first[t + 1] - place};
}

/// What one token adds to the sums: x_tj y_tk, for k >= j only where `upper` says so.
struct Products {
  const SparseRows& x;
  const SparseRows& y;
  bool upper;

  /// block[j - first][k] += the product, for the channels j in [first, last).
  void add_token(std::size_t t, std::int64_t first, std::int64_t last,
                 const kernels::MatrixView<float>& block) const {
    const Token left = token_of(x, t);
    const Token right = token_of(y, t);
    const std::int64_t begin =
        std::lower_bound(left.channel, left.channel + left.count, first) - left.channel;
    for (std::int64_t a = begin; a < left.count && left.channel[a] < last; ++a) {
      float* row = block.row(left.channel[a] - first);
      const float factor = left.value[a];
#pragma GCC unroll 8  // without it half of the time is the loop's own
      for (std::int64_t b = upper ? a : 0; b < right.count; ++b) {
        row[right.channel[b]] += factor * right.value[b];
      }
    }
  }

  /// Rows first .. last - 1 of the sums over all tokens.
  void add_rows(std::int64_t first, std::int64_t last, std::vector<float>& sums,
                const kernels::MatrixView<float>& product) const {
    const std::int64_t channels = product.columns;
    std::fill(sums.begin(), sums.end(), 0.0F);
    const kernels::MatrixView<float> block{sums.data(), last - first, channels, channels};
    for (std::size_t t = 0; t + 1 < x.first.size(); ++t) add_token(t, first, last, block);
    for (std::int64_t j = first; j < last; ++j) {
      const float* from = block.row(j - first);
      float* to = product.row(j);
      for (std::int64_t k = upper ? j : 0; k < channels; ++k) to[k] += from[k];
    }
  }

  void add_all(const kernels::MatrixView<float>& product, const ParallelFor& parallel_for) const {
    const std::int64_t height = std::max<std::int64_t>(1, kBlockFloats / product.columns);
    const std::int64_t blocks = (product.rows + height - 1) / height;
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> sums(static_cast<std::size_t>(height * product.columns));
      for (std::int64_t i = begin; i < end; ++i) {
        // Upper blocks of a symmetric product are longer: taken in turn from both ends, any range
        // of them costs the same.
        const std::int64_t block = i % 2 == 0 ? i / 2 : blocks - 1 - i / 2;
        const std::int64_t first = block * height;
        add_rows(first, std::min(first + height, product.rows), sums, product);
      }
    });
  }
};

}  // namespace

void add_sparse_second_moment(const kernels::MatrixView<const float>& x,
                              const kernels::MatrixView<float>& second_moment,
                              const kernels::Backend& backend) {
  ensure(!backend.cuda, "sparse_second_moment: there is no CUDA twin");
  const std::int64_t channels = x.columns;
  ensure(second_moment.rows == channels && second_moment.columns == channels,
         "sparse_second_moment: the second moment is not (N, N)");
  if (x.rows == 0 || channels == 0) return;
  const SparseRows rows = remove_zeros(x, backend.parallel_for);
  Products{rows, rows, true}.add_all(second_moment, backend.parallel_for);
}

void add_sparse_product(const kernels::MatrixView<const float>& x,
                        const kernels::MatrixView<const float>& y,
                        const kernels::MatrixView<float>& product,
                        const kernels::Backend& backend) {
  ensure(!backend.cuda, "sparse_product: there is no CUDA twin");
  ensure(x.rows == y.rows && product.rows == x.columns && product.columns == y.columns,
         "sparse_product: the shapes are not (tokens, N), (tokens, M) and (N, M)");
  if (x.rows == 0 || x.columns == 0 || y.columns == 0) return;
  const SparseRows left = remove_zeros(x, backend.parallel_for);
  const SparseRows right = remove_zeros(y, backend.parallel_for);
  Products{left, right, false}.add_all(product, backend.parallel_for);
}

}  // namespace sgpt_mi::cpu_kernels

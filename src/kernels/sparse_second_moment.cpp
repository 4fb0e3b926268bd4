#include "sgpt_mi/kernels/sparse_second_moment.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels {
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

SparseRows remove_zeros(const MatrixView<const float>& x, const ParallelFor& parallel_for) {
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

/// block[j - first][k] += x_tj x_tk for one token's channels j in [first, last) and k >= j.
void add_token(const std::int32_t* channel, const float* value, std::int64_t count,
               std::int64_t first, std::int64_t last, const MatrixView<float>& block) {
  const std::int64_t begin = std::lower_bound(channel, channel + count, first) - channel;
  for (std::int64_t a = begin; a < count && channel[a] < last; ++a) {
    float* row = block.row(channel[a] - first);
    const float factor = value[a];
    for (std::int64_t b = a; b < count; ++b) row[channel[b]] += factor * value[b];
  }
}

/// Rows first .. last - 1 of the second moment.
void add_rows(const SparseRows& rows, std::int64_t first, std::int64_t last,
              std::vector<float>& sums, const MatrixView<float>& second_moment) {
  const std::int64_t channels = second_moment.columns;
  std::fill(sums.begin(), sums.end(), 0.0F);
  const MatrixView<float> block{sums.data(), last - first, channels, channels};
  for (std::size_t t = 0; t + 1 < rows.first.size(); ++t) {
    const std::int64_t place = rows.first[t];
    add_token(rows.channel.data() + place, rows.value.data() + place, rows.first[t + 1] - place,
              first, last, block);
  }
  for (std::int64_t j = first; j < last; ++j) {
    const float* from = block.row(j - first);
    float* to = second_moment.row(j);
    for (std::int64_t k = j; k < channels; ++k) to[k] += from[k];
  }
}

}  // namespace

void add_sparse_second_moment(const MatrixView<const float>& x,
                              const MatrixView<float>& second_moment, const Backend& backend) {
  ensure(!backend.cuda, "sparse_second_moment: there is no CUDA twin");
  const std::int64_t channels = x.columns;
  ensure(second_moment.rows == channels && second_moment.columns == channels,
         "sparse_second_moment: the second moment is not (N, N)");
  if (x.rows == 0 || channels == 0) return;
  const SparseRows rows = remove_zeros(x, backend.parallel_for);
  const std::int64_t height = std::max<std::int64_t>(1, kBlockFloats / channels);
  const std::int64_t blocks = (channels + height - 1) / height;
  backend.parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(height * channels));
    for (std::int64_t i = begin; i < end; ++i) {
      // Upper blocks are longer: taken in turn from both ends, any range of them costs the same.
      const std::int64_t block = i % 2 == 0 ? i / 2 : blocks - 1 - i / 2;
      add_rows(rows, block * height, std::min((block + 1) * height, channels), sums, second_moment);
    }
  });
}

}  // namespace sgpt_mi::kernels

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "sgpt_mi/kernels/dequantize_packed.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/pack_bits.h"
#include "support/matrix.h"
#include "support/twin_device.h"

namespace sgpt_mi::test {

/// What kind of matrix PackedProblem makes.
struct PackedShape {
  std::int64_t rows = 3;
  std::int64_t columns = 40;
  /// Of the groups; column j is in group j * 5 % groups. The type's own: values, not codes.
  std::vector<int> widths = {4};
  bool masked = false;
  int prune_n = 0;  ///< with masked: an N:M mask, stored as ranks
  int prune_m = 0;
  bool shared = false;  ///< one grid for all rows
  kernels::FloatType type = kernels::FloatType::kFloat32;

  [[nodiscard]] std::string text() const {
    std::string form = std::to_string(rows) + " x " + std::to_string(columns) + ", widths";
    for (const int width : widths) form += " " + std::to_string(width);
    if (masked) form += ", mask " + std::to_string(prune_n) + ":" + std::to_string(prune_m);
    return form + (shared ? ", shared" : "") + ", type " + std::to_string(static_cast<int>(type));
  }
};

/// A random matrix of codes in packed form, and the values that its definition gives.
class PackedProblem {
 public:
  PackedProblem(const PackedShape& shape, unsigned seed) : shape_(shape), engine_(seed) {
    make_grids();
    make_mask();
    make_streams();
  }

  /// Bytes of the values with guards around every row; runs the op.
  [[nodiscard]] Matrix<std::uint8_t> run(TwinDevice& device) const {
    const PlacedMatrix<std::uint8_t> bytes(
        device, {shape_.rows, shape_.columns * size(), kGuard, kPadding * size()});
    kernels::PackedWeights packed;
    packed.rows = shape_.rows;
    packed.columns = shape_.columns;
    packed.stream_count = streams_.size();
    for (std::size_t s = 0; s < streams_.size(); ++s) {
      const Stream& stream = streams_[s];
      packed.streams[s] = {placed(device, stream.bits), stream.width, placed(device, stream.column),
                           static_cast<std::int64_t>(stream.column.size()),
                           shape_.masked ? placed(device, stream.first) : nullptr};
    }
    if (shape_.masked) {
      packed.kept = {placed(device, mask_), mask_width_, mask_size_, placed(device, pattern_)};
    }
    packed.scale = PlacedMatrix<float>(device, scale_).const_view();
    packed.zero = PlacedMatrix<float>(device, zero_).const_view();
    packed.scale.rows = packed.zero.rows = shape_.rows;
    if (shape_.shared) packed.scale.stride = packed.zero.stride = 0;
    packed.group_of_column = placed(device, group_of_column_);
    packed.type = shape_.type;
    packed.values = bytes.view().data;
    packed.stride = shape_.columns + kPadding;
    kernels::dequantize_packed(packed, device.backend);
    return bytes.fetched();
  }

  /// Of a matrix of codes.
  [[nodiscard]] float value(std::int64_t row, std::int64_t column) const {
    const std::int64_t grid_row = shape_.shared ? 0 : row;
    const std::int64_t group = group_of_column_[static_cast<std::size_t>(column)];
    return scale_(grid_row, group) *
           (static_cast<float>(codes_(row, column)) - zero_(grid_row, group));
  }

  /// The bytes that run() should give.
  [[nodiscard]] Matrix<std::uint8_t> expected() const {
    Matrix<std::uint8_t> bytes(shape_.rows, shape_.columns * size(), kGuard, kPadding * size());
    for (std::int64_t row = 0; row < shape_.rows; ++row) {
      for (std::int64_t j = 0; j < shape_.columns; ++j) {
        std::uint8_t* const at = &bytes(row, j * size());
        if (kept_(row, j) == 0) {
          std::fill_n(at, size(), std::uint8_t{0});
        } else if (stores_values()) {
          std::copy_n(&values_(row, j * size()), size(), at);
        } else {
          write(value(row, j), at);
        }
      }
    }
    return bytes;
  }

  static constexpr std::uint8_t kGuard = 0x5a;

 private:
  static constexpr std::int64_t kPadding = 3;

  struct Stream {
    int width = 0;
    std::vector<std::int32_t> column;
    std::vector<std::int64_t> first;
    std::vector<std::uint8_t> bits;
  };

  [[nodiscard]] std::int64_t size() const { return kernels::width_of(shape_.type) / 8; }
  [[nodiscard]] bool stores_values() const { return shape_.widths.front() > 8; }

  /// A number in the matrix's type.
  void write(float value, std::uint8_t* at) const {
    if (shape_.type == kernels::FloatType::kFloat32) {
      std::memcpy(at, &value, sizeof value);
      return;
    }
    const std::uint16_t half = shape_.type == kernels::FloatType::kFloat16
                                   ? kernels::float_to_half(value)
                                   : kernels::float_to_bfloat16(value);
    std::memcpy(at, &half, sizeof half);
  }

  int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }

  void make_grids() {
    const auto groups = static_cast<std::int64_t>(shape_.widths.size());
    for (std::int64_t j = 0; j < shape_.columns; ++j) {
      group_of_column_.push_back(static_cast<std::int32_t>(j * 5 % groups));
    }
    const std::int64_t rows = shape_.shared ? 1 : shape_.rows;
    scale_ = Matrix<float>(rows, groups);
    zero_ = Matrix<float>(rows, groups);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t g = 0; g < groups; ++g) {
        const int width = shape_.widths[static_cast<std::size_t>(g)];
        const int most = stores_values() ? 0 : (1 << width) - 1;
        scale_(r, g) = 0.001F * static_cast<float>(draw(1, 900));
        zero_(r, g) = static_cast<float>(draw(0, most));
      }
    }
  }

  /// The first n of every m kept, shuffled; or a random mask; or everything.
  void make_mask() {
    kept_ = Matrix<std::uint8_t>(shape_.rows, shape_.columns, 1);
    if (!shape_.masked) return;
    for (std::int64_t r = 0; r < shape_.rows; ++r) {
      for (std::int64_t j = 0; j < shape_.columns; ++j) {
        kept_(r, j) = shape_.prune_m == 0 ? static_cast<std::uint8_t>(draw(0, 1)) : 0;
      }
      for (std::int64_t j = 0; shape_.prune_m > 0 && j < shape_.columns; j += shape_.prune_m) {
        std::vector<std::uint8_t> tuple(static_cast<std::size_t>(shape_.prune_m), 1);
        std::fill_n(tuple.begin(), shape_.prune_n, std::uint8_t{0});
        std::shuffle(tuple.begin(), tuple.end(), engine_);
        for (std::size_t i = 0; i < tuple.size(); ++i) {
          kept_(r, j + static_cast<std::int64_t>(i)) = tuple[i];
        }
      }
    }
    shape_.prune_m == 0 ? pack_mask() : pack_ranks();
  }

  void pack_mask() {
    mask_width_ = mask_size_ = 1;
    pattern_ = {0, 1};
    pack_numbers({&kept_(0, 0), &kept_(0, 0) + shape_.rows * shape_.columns});
  }

  void pack_ranks() {
    mask_size_ = shape_.prune_m;
    for (int set = 0; set < 1 << shape_.prune_m; ++set) {
      if (__builtin_popcount(static_cast<unsigned>(set)) == shape_.prune_m - shape_.prune_n) {
        pattern_.push_back(static_cast<std::uint8_t>(set));
      }
    }
    mask_width_ = 1;
    while (1U << mask_width_ < pattern_.size()) ++mask_width_;
    std::vector<std::uint8_t> ranks;
    for (std::int64_t r = 0; r < shape_.rows; ++r) {
      for (std::int64_t j = 0; j < shape_.columns; j += shape_.prune_m) {
        int set = 0;
        for (int i = 0; i < shape_.prune_m; ++i) set |= kept_(r, j + i) << i;
        const auto at = std::find(pattern_.begin(), pattern_.end(), set);
        ranks.push_back(static_cast<std::uint8_t>(at - pattern_.begin()));
      }
    }
    pack_numbers(ranks);
  }

  void pack_numbers(const std::vector<std::uint8_t>& numbers) {
    const auto count = static_cast<std::int64_t>(numbers.size());
    mask_.resize(static_cast<std::size_t>(kernels::packed_bytes(count, mask_width_)));
    kernels::pack_bits(numbers.data(), count, mask_width_, mask_.data());
  }

  void make_streams() {
    if (stores_values()) return store_values();
    codes_ = Matrix<std::uint8_t>(shape_.rows, shape_.columns);
    for (int width = 1; width <= 8; ++width) {
      Stream stream;
      stream.width = width;
      for (std::int64_t j = 0; j < shape_.columns; ++j) {
        const auto group = group_of_column_[static_cast<std::size_t>(j)];
        if (shape_.widths[static_cast<std::size_t>(group)] == width) {
          stream.column.push_back(static_cast<std::int32_t>(j));
        }
      }
      if (!stream.column.empty()) fill(stream);
    }
  }

  void store_values() {
    values_ = Matrix<std::uint8_t>(shape_.rows, shape_.columns * size());
    Stream stream;
    stream.width = shape_.widths.front();
    for (std::int64_t j = 0; j < shape_.columns; ++j) {
      stream.column.push_back(static_cast<std::int32_t>(j));
    }
    for (std::int64_t r = 0; r < shape_.rows; ++r) {
      stream.first.push_back(static_cast<std::int64_t>(stream.bits.size()) / size());
      for (std::int64_t b = 0; b < shape_.columns * size(); ++b) {
        values_(r, b) = static_cast<std::uint8_t>(draw(0, 255));
        if (kept_(r, b / size()) != 0) stream.bits.push_back(values_(r, b));
      }
    }
    streams_.push_back(std::move(stream));
  }

  void fill(Stream& stream) {
    std::vector<std::uint8_t> codes;
    for (std::int64_t r = 0; r < shape_.rows; ++r) {
      stream.first.push_back(static_cast<std::int64_t>(codes.size()));
      for (const std::int32_t j : stream.column) {
        codes_(r, j) = static_cast<std::uint8_t>(draw(0, (1 << stream.width) - 1));
        if (kept_(r, j) != 0) codes.push_back(codes_(r, j));
      }
    }
    const auto count = static_cast<std::int64_t>(codes.size());
    stream.bits.resize(static_cast<std::size_t>(kernels::packed_bytes(count, stream.width)));
    kernels::pack_bits(codes.data(), count, stream.width, stream.bits.data());
    streams_.push_back(std::move(stream));
  }

  PackedShape shape_;
  std::mt19937 engine_;
  Matrix<float> scale_{0, 0};
  Matrix<float> zero_{0, 0};
  std::vector<std::int32_t> group_of_column_;
  Matrix<std::uint8_t> kept_{0, 0};
  Matrix<std::uint8_t> codes_{0, 0};
  Matrix<std::uint8_t> values_{0, 0};  // bytes
  int mask_width_ = 0;
  int mask_size_ = 0;
  std::vector<std::uint8_t> pattern_;
  std::vector<std::uint8_t> mask_;
  std::vector<Stream> streams_;
};

/// Dense and masked, one width and several, row grids and shared ones, all types, values.
inline std::vector<PackedShape> packed_shapes() {
  using kernels::FloatType;
  return {{1, 1, {4}},
          {3, 40, {4}, false, 0, 0, false, FloatType::kFloat16},
          {6, 50, {32}, true},
          {5, 48, {16}, true, 2, 4, false, FloatType::kBFloat16},
          {4, 35, {16}, false, 0, 0, false, FloatType::kFloat16},
          {5, 33, {3}, true, 0, 0, false, FloatType::kBFloat16},
          {9, 70, {2, 3, 4, 8}, false, 0, 0, true},
          {9, 70, {2, 5, 6, 8}, true, 0, 0, false, FloatType::kFloat16},
          {7, 64, {4}, true, 2, 4, false, FloatType::kBFloat16},
          {7, 72, {3, 7}, true, 5, 8, true},
          {2, 300, {1, 8}, true, 1, 3}};
}

}  // namespace sgpt_mi::test

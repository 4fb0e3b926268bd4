#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "aligned_words.h"
#include "moment_tile.h"
#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// sums_jk += sum over tokens of a_tj b_tk, or of b_tj b_tk for j <= k (below the diagonal only
/// panels that it crosses are written, with values of no use).
///
/// Packs a few tokens after the others into panels and multiplies those of a with those of b. T is
/// float, or the bits of bfloat16; the kernel is one for T.
template <typename T>
class PanelProduct {
 public:
  PanelProduct(const kernels::MatrixView<const T>& a, const kernels::MatrixView<const T>& b,
               const kernels::MatrixView<float>& sums, const MomentKernel& kernel)
      : PanelProduct(a, b, sums, kernel, panels_of(a)) {}

  /// Of b with itself.
  PanelProduct(const kernels::MatrixView<const T>& b, const kernels::MatrixView<float>& sums,
               const MomentKernel& kernel)
      : PanelProduct(b, b, sums, kernel, 0) {}

  void add(const kernels::Backend& backend);

 private:
  PanelProduct(const kernels::MatrixView<const T>& a, const kernels::MatrixView<const T>& b,
               const kernels::MatrixView<float>& sums, const MomentKernel& kernel,
               std::int64_t left)
      : a_(a),
        b_(b),
        sums_(sums),
        kernel_(kernel),
        right_(panels_of(b)),
        left_(left),
        words_((right_ + left_) * kPanelWords) {}

  static constexpr std::int64_t kColumns = kMomentColumns;
  static constexpr std::int64_t kMostRows = 8;  // of any kernel
  /// Tokens whose products are added up before they go to memory: their panels stay in the
  /// second-level cache, and the sums are written rarely enough.
  static constexpr std::int64_t kTokens = 512;
  /// Tokens that one word holds.
  static constexpr auto kWordTokens = static_cast<std::int64_t>(sizeof(std::uint32_t) / sizeof(T));
  static constexpr std::int64_t kPanelWords = kTokens / kWordTokens * kColumns;

  static std::int64_t panels_of(const kernels::MatrixView<const T>& x) {
    return (x.columns + kColumns - 1) / kColumns;
  }
  [[nodiscard]] bool moment() const { return left_ == 0; }
  void pack(std::int64_t panel) const;
  void pack_words(const kernels::MatrixView<const T>& x, std::int64_t column, std::int64_t token,
                  std::uint32_t* to) const;
  void multiply(std::int64_t panel, std::int64_t row, std::int64_t end) const;
  void add_tile(const MomentTile& tile, std::int64_t row, std::int64_t column) const;
  [[nodiscard]] std::uint32_t* panel_at(std::int64_t panel) const {
    return words_.data() + panel * kPanelWords;
  }

  kernels::MatrixView<const T> a_;
  kernels::MatrixView<const T> b_;
  kernels::MatrixView<float> sums_;
  MomentKernel kernel_;
  std::int64_t right_;      ///< panels of b
  std::int64_t left_;       ///< of a, after those of b; 0: those of b are a's too
  std::int64_t first_ = 0;  ///< of the packed tokens
  std::int64_t last_ = 0;   ///< one beyond them
  AlignedWords words_;      ///< (panels, tokens / tokens of a word, kColumns)
};

template <typename T>
void PanelProduct<T>::add(const kernels::Backend& backend) {
  for (first_ = 0; first_ < b_.rows; first_ = last_) {
    last_ = std::min(first_ + kTokens, b_.rows);
    backend.parallel_for(right_ + left_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t panel = begin; panel < end; ++panel) pack(panel);
    });
    if (moment()) {
      backend.parallel_for(right_, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t turn = begin; turn < end; ++turn) {
          // Later panels have more rows: taken in turn from both ends, any range costs the same.
          const std::int64_t panel = turn % 2 == 0 ? turn / 2 : right_ - 1 - turn / 2;
          multiply(panel, 0, std::min((panel + 1) * kColumns, b_.columns));
        }
      });
      continue;
    }
    backend.parallel_for(right_ * left_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t pair = begin; pair < end; ++pair) {
        const std::int64_t first = pair % left_ * kColumns;
        multiply(pair / left_, first, std::min(first + kColumns, a_.columns));
      }
    });
  }
}

template <typename T>
void PanelProduct<T>::pack(std::int64_t panel) const {
  const bool right = panel < right_;
  const std::int64_t column = (right ? panel : panel - right_) * kColumns;
  std::uint32_t* to = panel_at(panel);
  for (std::int64_t token = first_; token < last_; token += kWordTokens) {
    pack_words(right ? b_ : a_, column, token, to);
    to += kColumns;
  }
}

/// The words of one step, zeros for columns and tokens beyond the last.
template <typename T>
void PanelProduct<T>::pack_words(const kernels::MatrixView<const T>& x, std::int64_t column,
                                 std::int64_t token, std::uint32_t* to) const {
  const std::int64_t width = std::min(kColumns, x.columns - column);
  const T* from = x.row(token) + column;
  if constexpr (kWordTokens == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(T));
  } else if (token + 1 < last_) {
    const T* next = from + x.stride;
    for (std::int64_t j = 0; j < width; ++j) {
      to[j] = from[j] | static_cast<std::uint32_t>(next[j]) << 16;
    }
  } else {
    std::copy_n(from, width, to);
  }
  std::fill(to + width, to + kColumns, 0U);
}

/// The products of one panel of b with columns `row` to `end` - 1 of a.
template <typename T>
void PanelProduct<T>::multiply(std::int64_t panel, std::int64_t row, std::int64_t end) const {
  MomentTile tile;
  tile.columns = panel_at(panel);
  tile.steps = (last_ - first_ + kWordTokens - 1) / kWordTokens;
  const std::int64_t first = moment() ? 0 : right_;
  for (; row < end; row += kernel_.rows) {
    tile.rows = panel_at(first + row / kColumns) + row % kColumns;
    add_tile(tile, row, panel * kColumns);
  }
}

/// Adds a tile in place, or by way of a copy where it sticks out of the matrix.
template <typename T>
void PanelProduct<T>::add_tile(const MomentTile& tile, std::int64_t row,
                               std::int64_t column) const {
  MomentTile whole = tile;
  const std::int64_t height = std::min(kernel_.rows, sums_.rows - row);
  const std::int64_t width = std::min(kColumns, sums_.columns - column);
  if (height == kernel_.rows && width == kColumns) {
    whole.sums = sums_.row(row) + column;
    whole.stride = sums_.stride;
    kernel_.add(whole);
    return;
  }
  std::array<float, kMostRows * kColumns> copy{};
  whole.sums = copy.data();
  whole.stride = kColumns;
  kernel_.add(whole);
  for (std::int64_t r = 0; r < height; ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      sums_.row(row + r)[column + c] += copy[static_cast<std::size_t>(r * kColumns + c)];
    }
  }
}

}  // namespace sgpt_mi::cpu_kernels

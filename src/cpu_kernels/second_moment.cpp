#include "sgpt_mi/cpu_kernels/second_moment.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "aligned_words.h"
#include "bfloat16_moment.h"
#include "moment_tile.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/tile_product.h"

namespace sgpt_mi::cpu_kernels {
namespace {

constexpr std::int64_t kColumns = kMomentColumns;
constexpr std::int64_t kMostRows = 8;  // of any kernel

/// Tokens whose products are added up before they go to memory: their panels stay in the
/// second-level cache, and the sums are written rarely enough.
constexpr std::int64_t kTokens = 512;

/// Tokens that one word holds.
template <typename T>
constexpr std::int64_t kWordTokens = static_cast<std::int64_t>(sizeof(std::uint32_t) / sizeof(T));

/// One call: packs a few tokens after the others into panels and multiplies these with each other.
template <typename T>
class Moment {
 public:
  Moment(const kernels::MatrixView<const T>& x, const kernels::MatrixView<float>& sums,
         const MomentKernel& kernel)
      : x_(x),
        sums_(sums),
        kernel_(kernel),
        panels_((x.columns + kColumns - 1) / kColumns),
        words_(panels_ * kPanelWords) {}

  void add(const kernels::Backend& backend);

 private:
  static constexpr std::int64_t kPanelWords = kTokens / kWordTokens<T> * kColumns;

  void pack(std::int64_t panel) const;
  void pack_words(std::int64_t panel, std::int64_t token, std::uint32_t* to) const;
  void multiply(std::int64_t panel) const;
  void add_tile(const MomentTile& tile, std::int64_t row, std::int64_t column) const;
  [[nodiscard]] std::uint32_t* panel_at(std::int64_t panel) const {
    return words_.data() + panel * kPanelWords;
  }

  const kernels::MatrixView<const T>& x_;
  const kernels::MatrixView<float>& sums_;
  const MomentKernel& kernel_;
  std::int64_t panels_;
  std::int64_t first_ = 0;  ///< of the packed tokens
  std::int64_t last_ = 0;   ///< one beyond them
  AlignedWords words_;      ///< (panels, tokens / tokens of a word, kColumns)
};

template <typename T>
void Moment<T>::add(const kernels::Backend& backend) {
  for (first_ = 0; first_ < x_.rows; first_ = last_) {
    last_ = std::min(first_ + kTokens, x_.rows);
    backend.parallel_for(panels_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t panel = begin; panel < end; ++panel) pack(panel);
    });
    backend.parallel_for(panels_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t turn = begin; turn < end; ++turn) {
        // Later panels have more rows: taken in turn from both ends, any range costs the same.
        multiply(turn % 2 == 0 ? turn / 2 : panels_ - 1 - turn / 2);
      }
    });
  }
}

template <typename T>
void Moment<T>::pack(std::int64_t panel) const {
  std::uint32_t* to = panel_at(panel);
  for (std::int64_t token = first_; token < last_; token += kWordTokens<T>) {
    pack_words(panel, token, to);
    to += kColumns;
  }
}

/// The words of one step, zeros for columns and tokens beyond the last.
template <typename T>
void Moment<T>::pack_words(std::int64_t panel, std::int64_t token, std::uint32_t* to) const {
  const std::int64_t column = panel * kColumns;
  const std::int64_t width = std::min(kColumns, x_.columns - column);
  const T* from = x_.row(token) + column;
  if constexpr (kWordTokens<T> == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(T));
  } else if (token + 1 < last_) {
    const T* next = from + x_.stride;
    for (std::int64_t j = 0; j < width; ++j) {
      to[j] = from[j] | static_cast<std::uint32_t>(next[j]) << 16;
    }
  } else {
    std::copy_n(from, width, to);
  }
  std::fill(to + width, to + kColumns, 0U);
}

/// The products of one panel of columns with all columns up to its last.
template <typename T>
void Moment<T>::multiply(std::int64_t panel) const {
  MomentTile tile;
  tile.columns = panel_at(panel);
  tile.steps = (last_ - first_ + kWordTokens<T> - 1) / kWordTokens<T>;
  const std::int64_t rows = std::min((panel + 1) * kColumns, x_.columns);
  for (std::int64_t row = 0; row < rows; row += kernel_.rows) {
    tile.rows = panel_at(row / kColumns) + row % kColumns;
    add_tile(tile, row, panel * kColumns);
  }
}

/// Adds a tile in place, or by way of a copy where it sticks out of the matrix.
template <typename T>
void Moment<T>::add_tile(const MomentTile& tile, std::int64_t row, std::int64_t column) const {
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

/// Whether there is anything to add, of shapes that agree.
template <typename T>
bool has_products(const kernels::MatrixView<const T>& x, const kernels::MatrixView<float>& sums,
                  const kernels::Backend& backend) {
  ensure(!backend.cuda, "second_moment: there is no CUDA twin; LibTorch's product is it");
  ensure(sums.rows == x.columns && sums.columns == x.columns,
         "second_moment: the second moment is not (N, N)");
  if (x.rows == 0 || x.columns == 0) return false;
  ensure(x.data != nullptr && sums.data != nullptr, "second_moment: a matrix is missing");
  return true;
}

void add_dot_product_moment(const kernels::MatrixView<const std::uint16_t>& x,
                            const kernels::MatrixView<float>& second_moment,
                            const kernels::Backend& backend) {
  static const MomentKernel kernel = bfloat16_moment_kernels().front();
  Moment<std::uint16_t>(x, second_moment, kernel).add(backend);
}

}  // namespace

void add_second_moment(const kernels::MatrixView<const float>& x,
                       const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend) {
  static const MomentKernel kernel = moment_kernels().front();
  if (has_products(x, second_moment, backend)) {
    Moment<float>(x, second_moment, kernel).add(backend);
  }
}

std::vector<Bfloat16Moment> bfloat16_moments() {
  std::vector<Bfloat16Moment> moments;
  if (has_bfloat16_tiles()) moments.push_back({"AMX_BF16", add_tile_moment});
  if (!bfloat16_moment_kernels().empty()) {
    moments.push_back({"AVX512_BF16", add_dot_product_moment});
  }
  return moments;
}

bool multiplies_bfloat16() { return !bfloat16_moments().empty(); }

void add_second_moment(const kernels::MatrixView<const std::uint16_t>& x,
                       const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend) {
  static const std::vector<Bfloat16Moment> moments = bfloat16_moments();
  ensure(!moments.empty(), "second_moment: this processor does not multiply bfloat16");
  if (has_products(x, second_moment, backend)) moments.front().add(x, second_moment, backend);
}

}  // namespace sgpt_mi::cpu_kernels

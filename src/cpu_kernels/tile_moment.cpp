#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned_words.h"
#include "bfloat16_moment.h"
#include "tile_registers.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Tokens whose products are added up before they go to memory: one panel of them is 32 KiB and
/// stays in the first-level cache while others pass by.
constexpr std::int64_t kTokens = 512;
constexpr std::int64_t kPanelWords = kTokens / kTileTokens * kTileStepWords;

/// Panels in a row whose products with as many others come one after the other: their operands
/// take 512 KiB of the second-level cache.
constexpr std::int64_t kBlockPanels = 8;

/// Two panels that are multiplied, row <= column.
struct Pair {
  std::int32_t row = 0;
  std::int32_t column = 0;
};

/// All pairs, block after block.
std::vector<Pair> pairs_of(std::int64_t panels) {
  std::vector<Pair> pairs;
  pairs.reserve(static_cast<std::size_t>(panels * (panels + 1) / 2));
  for (std::int64_t right = 0; right < panels; right += kBlockPanels) {
    for (std::int64_t left = 0; left <= right; left += kBlockPanels) {
      const std::int64_t last = std::min(right + kBlockPanels, panels);
      for (std::int64_t column = right; column < last; ++column) {
        for (std::int64_t row = left; row <= std::min(column, left + kBlockPanels - 1); ++row) {
          pairs.push_back({static_cast<std::int32_t>(row), static_cast<std::int32_t>(column)});
        }
      }
    }
  }
  return pairs;
}

/// One call: packs a few tokens after the others into panels and multiplies these with each other.
class TileMoment {
 public:
  TileMoment(const kernels::MatrixView<const std::uint16_t>& x,
             const kernels::MatrixView<float>& sums)
      : x_(x),
        sums_(sums),
        panels_((x.columns + kTilePanel - 1) / kTilePanel),
        pairs_(pairs_of(panels_)),
        words_(2 * panels_ * kPanelWords),
        left_(words_.data()),
        right_(left_ + panels_ * kPanelWords) {}

  void add(const kernels::Backend& backend);

 private:
  void pack(std::int64_t panel) const;
  void pack_part(std::int64_t token, std::int64_t column, std::int64_t place) const;
  void multiply(const Pair& pair) const;

  const kernels::MatrixView<const std::uint16_t>& x_;
  const kernels::MatrixView<float>& sums_;
  std::int64_t panels_;
  std::vector<Pair> pairs_;
  std::int64_t first_ = 0;  ///< of the packed tokens
  std::int64_t last_ = 0;   ///< one beyond them
  /// Both operands. Of two pieces of memory malloc would return one to the system at the end of
  /// each call, and the next one would wait for its pages.
  AlignedWords words_;
  std::uint32_t* left_;   ///< (panels, steps, 2, tile), tiles (columns, token pairs)
  std::uint32_t* right_;  ///< the same, tiles (token pairs, columns)
};

void TileMoment::add(const kernels::Backend& backend) {
  for (first_ = 0; first_ < x_.rows; first_ = last_) {
    last_ = std::min(first_ + kTokens, x_.rows);
    backend.parallel_for(panels_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t panel = begin; panel < end; ++panel) pack(panel);
    });
    const auto pairs = static_cast<std::int64_t>(pairs_.size());
    backend.parallel_for(pairs, 1, [&](std::int64_t begin, std::int64_t end) {
      const TileRegisters registers;
      for (std::int64_t i = begin; i < end; ++i) multiply(pairs_[static_cast<std::size_t>(i)]);
    });
  }
}

void TileMoment::pack(std::int64_t panel) const {
  std::int64_t place = panel * kPanelWords;
  for (std::int64_t token = first_; token < last_; token += kTileTokens) {
    pack_part(token, panel * kTilePanel, place);
    pack_part(token, panel * kTilePanel + kTileSide, place + kTileWords);
    place += kTileStepWords;
  }
}

/// Packs one tile, zeros for columns and tokens beyond the last.
void TileMoment::pack_part(std::int64_t token, std::int64_t column, std::int64_t place) const {
  const std::int64_t height = std::min(kTileTokens, last_ - token);
  const std::int64_t width = std::clamp<std::int64_t>(x_.columns - column, 0, kTileSide);
  std::uint32_t* left = left_ + place;
  std::uint32_t* right = right_ + place;
  if (height == kTileTokens && width == kTileSide) {
    pack_tile(x_.row(token) + column, x_.stride, left, right);
    return;
  }
  std::array<std::uint16_t, kTileTokens * kTileSide> copy{};
  for (std::int64_t t = 0; width > 0 && t < height; ++t) {
    std::copy_n(x_.row(token + t) + column, width, copy.data() + t * kTileSide);
  }
  pack_tile(copy.data(), kTileSide, left, right);
}

void TileMoment::multiply(const Pair& pair) const {
  alignas(64) std::array<float, kTilePanel * kTilePanel> sums;
  const std::int64_t row = pair.row * kTilePanel;
  const std::int64_t column = pair.column * kTilePanel;
  const std::int64_t height = std::min(kTilePanel, sums_.rows - row);
  const std::int64_t width = std::min(kTilePanel, sums_.columns - column);
  float* to = sums_.row(row) + column;
  multiply_panels(left_ + pair.row * kPanelWords, right_ + pair.column * kPanelWords,
                  (last_ - first_ + kTileTokens - 1) / kTileTokens, sums.data());
  if (height == kTilePanel && width == kTilePanel) {
    add_sums(sums.data(), to, sums_.stride);
    return;
  }
  for (std::int64_t r = 0; r < height; ++r) {
    const float* from = sums.data() + r * kTilePanel;
    for (std::int64_t c = 0; c < width; ++c) to[r * sums_.stride + c] += from[c];
  }
}

}  // namespace

void add_tile_moment(const kernels::MatrixView<const std::uint16_t>& x,
                     const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend) {
  TileMoment(x, second_moment).add(backend);
}

}  // namespace sgpt_mi::cpu_kernels

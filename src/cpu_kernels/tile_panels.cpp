#include "tile_panels.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace sgpt_mi::cpu_kernels {
namespace {

/// Panels in a row whose products with as many others come one after the other: their operands
/// take 512 KiB of the second-level cache.
constexpr std::int64_t kBlockPanels = 8;

/// Packs one tile; null pointers as in PackedPanel.
void pack_part(const kernels::MatrixView<const std::uint16_t>& x, const TokenRange& tokens,
               std::int64_t column, const PackedPanel& to) {
  const std::int64_t height = std::min(kTileTokens, tokens.last - tokens.first);
  const std::int64_t width = std::clamp<std::int64_t>(x.columns - column, 0, kTileSide);
  if (height == kTileTokens && width == kTileSide) {
    pack_tile(x.row(tokens.first) + column, x.stride, to.left, to.right);
    return;
  }
  std::array<std::uint16_t, kTileTokens * kTileSide> copy{};
  for (std::int64_t t = 0; width > 0 && t < height; ++t) {
    std::copy_n(x.row(tokens.first + t) + column, width, copy.data() + t * kTileSide);
  }
  pack_tile(copy.data(), kTileSide, to.left, to.right);
}

std::uint32_t* moved(std::uint32_t* place, std::int64_t words) {
  return place == nullptr ? nullptr : place + words;
}

}  // namespace

std::vector<PanelPair> panel_pairs(std::int64_t rows, std::int64_t columns, bool upper) {
  std::vector<PanelPair> pairs;
  pairs.reserve(static_cast<std::size_t>(rows * columns));
  for (std::int64_t right = 0; right < columns; right += kBlockPanels) {
    for (std::int64_t left = 0; left < rows; left += kBlockPanels) {
      for (std::int64_t column = right; column < std::min(right + kBlockPanels, columns);
           ++column) {
        const std::int64_t end = std::min(left + kBlockPanels, upper ? column + 1 : rows);
        for (std::int64_t row = left; row < std::min(end, rows); ++row) {
          pairs.push_back({static_cast<std::int32_t>(row), static_cast<std::int32_t>(column)});
        }
      }
    }
  }
  return pairs;
}

void pack_panel(const kernels::MatrixView<const std::uint16_t>& x, const TokenRange& tokens,
                std::int64_t panel, const PackedPanel& to) {
  const std::int64_t column = panel * kTilePanel;
  PackedPanel place = to;
  for (std::int64_t token = tokens.first; token < tokens.last; token += kTileTokens) {
    const TokenRange rest{token, tokens.last};
    pack_part(x, rest, column, place);
    pack_part(x, rest, column + kTileSide,
              {moved(place.left, kTileWords), moved(place.right, kTileWords)});
    place.left = moved(place.left, kTileStepWords);
    place.right = moved(place.right, kTileStepWords);
  }
}

void add_panel_products(const PanelOperands& panels, const PanelPair& pair,
                        const kernels::MatrixView<float>& product) {
  alignas(64) std::array<float, kTilePanel * kTilePanel> sums;
  const std::int64_t row = pair.row * kTilePanel;
  const std::int64_t column = pair.column * kTilePanel;
  const std::int64_t height = std::min(kTilePanel, product.rows - row);
  const std::int64_t width = std::min(kTilePanel, product.columns - column);
  float* to = product.row(row) + column;
  multiply_panels(panels, sums.data());
  if (height == kTilePanel && width == kTilePanel) {
    add_sums(sums.data(), to, product.stride);
    return;
  }
  for (std::int64_t r = 0; r < height; ++r) {
    const float* from = sums.data() + r * kTilePanel;
    for (std::int64_t c = 0; c < width; ++c) to[r * product.stride + c] += from[c];
  }
}

}  // namespace sgpt_mi::cpu_kernels

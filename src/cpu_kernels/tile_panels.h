#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/views.h"
#include "tile_registers.h"

namespace sgpt_mi::cpu_kernels {

/// Tokens whose products are added up before they go to memory: one panel of them is 32 KiB and
/// stays in the first-level cache while others pass by.
constexpr std::int64_t kPanelTokens = 512;
constexpr std::int64_t kPanelWords = kPanelTokens / kTileTokens * kTileStepWords;

/// Panels of so many columns.
[[nodiscard]] constexpr std::int64_t panels_of(std::int64_t columns) {
  return (columns + kTilePanel - 1) / kTilePanel;
}

/// Two panels that are multiplied.
struct PanelPair {
  std::int32_t row = 0;
  std::int32_t column = 0;
};

/// All pairs of `rows` and `columns` panels, or those of row <= column, block after block, so that
/// the operands of a block stay in the second-level cache.
[[nodiscard]] std::vector<PanelPair> panel_pairs(std::int64_t rows, std::int64_t columns,
                                                 bool upper);

/// Up to kPanelTokens tokens.
struct TokenRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  ///< one beyond them
  [[nodiscard]] std::int64_t steps() const {
    return (last - first + kTileTokens - 1) / kTileTokens;
  }
};

/// Where a panel goes, in one form or both; a null pointer: not in that one.
struct PackedPanel {
  std::uint32_t* left = nullptr;   ///< tiles (columns, token pairs)
  std::uint32_t* right = nullptr;  ///< tiles (token pairs, columns)
};

/// Packs the tokens of one panel of x, zeros for columns and tokens beyond the last.
void pack_panel(const kernels::MatrixView<const std::uint16_t>& x, const TokenRange& tokens,
                std::int64_t panel, const PackedPanel& to);

/// Adds the products of two panels to their place in `product`, which they may stick out of. Needs
/// TileRegisters.
void add_panel_products(const PanelOperands& panels, const PanelPair& pair,
                        const kernels::MatrixView<float>& product);

}  // namespace sgpt_mi::cpu_kernels

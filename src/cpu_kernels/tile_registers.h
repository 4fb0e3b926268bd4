#pragma once

#include <cstdint>

namespace sgpt_mi::cpu_kernels {

/// A tile register holds 16 rows of 16 words; a word holds the values of two tokens.
constexpr std::int64_t kTileSide = 16;
constexpr std::int64_t kTileWords = kTileSide * kTileSide;
constexpr std::int64_t kTileTokens = 2 * kTileSide;

/// Columns of x whose tiles lie side by side: two each way fill the eight tile registers, four of
/// them with sums, and each tile that is loaded is multiplied twice.
constexpr std::int64_t kTilePanel = 2 * kTileSide;

/// One step of a panel: kTileTokens tokens of kTilePanel columns, in the two forms of an operand.
constexpr std::int64_t kTileStepWords = 2 * kTileWords;

/// Packs 32 tokens of 16 columns of bfloat16, `stride` values from token to token: as a right
/// operand (token pairs, columns) and as a left one (columns, token pairs), or, where the other
/// place is null, as one of them.
void pack_tile(const std::uint16_t* x, std::int64_t stride, std::uint32_t* left,
               std::uint32_t* right);

/// Makes this thread's tile registers usable for as long as it lives, whatever other code (oneDNN)
/// left in them, and gives them back to the system in their initial state.
class TileRegisters {
 public:
  TileRegisters();
  ~TileRegisters();
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

/// Two panels to be multiplied, (steps, kTileStepWords) each.
struct PanelOperands {
  const std::uint32_t* left = nullptr;
  const std::uint32_t* right = nullptr;
  std::int64_t steps = 0;
};

/// sums (kTilePanel, kTilePanel) = the products of two panels, added up over all steps.
/// Needs TileRegisters.
void multiply_panels(const PanelOperands& panels, float* sums);

/// product (kTilePanel, kTilePanel) += sums.
void add_sums(const float* sums, float* product, std::int64_t stride);

}  // namespace sgpt_mi::cpu_kernels

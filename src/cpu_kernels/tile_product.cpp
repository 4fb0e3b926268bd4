#include "sgpt_mi/cpu_kernels/tile_product.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "aligned_words.h"
#include "sgpt_mi/core/error.h"
#include "tile_panels.h"
#include "tile_registers.h"

namespace sgpt_mi::cpu_kernels {
namespace {

using Bits = kernels::MatrixView<const std::uint16_t>;

/// One call: packs a few tokens after the others into panels and multiplies those of a with those
/// of b. The parts of a alternate step by step, so a tile of b that is loaded serves them all.
class TileProduct {
 public:
  TileProduct(std::span<const Bits> parts, const Bits& b, const kernels::MatrixView<float>& product)
      : parts_(parts),
        b_(b),
        product_(product),
        count_(static_cast<std::int64_t>(parts.size())),
        rows_(panels_of(product.rows)),
        columns_(panels_of(product.columns)),
        pairs_(panel_pairs(rows_, columns_, /*upper=*/false)),
        words_((count_ * rows_ + columns_) * kPanelWords),
        left_(words_.data()),
        right_(left_ + count_ * rows_ * kPanelWords) {}

  void add(const kernels::Backend& backend);

 private:
  void add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const;
  void pack_row(std::int64_t panel, const TokenRange& tokens) const;

  std::span<const Bits> parts_;
  const Bits& b_;
  const kernels::MatrixView<float>& product_;
  std::int64_t count_;    ///< of parts
  std::int64_t rows_;     ///< panels of a
  std::int64_t columns_;  ///< panels of b
  std::vector<PanelPair> pairs_;
  AlignedWords words_;    ///< both operands, in one piece as those of a second moment
  std::uint32_t* left_;   ///< (panels, steps, parts, kTileStepWords)
  std::uint32_t* right_;  ///< (panels, kPanelWords)
};

void TileProduct::add(const kernels::Backend& backend) {
  for (std::int64_t first = 0; first < b_.rows; first += kPanelTokens) {
    add_tokens({first, std::min(first + kPanelTokens, b_.rows)}, backend);
  }
}

void TileProduct::add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const {
  backend.parallel_for(rows_ + columns_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel - rows_;
      if (column < 0) {
        pack_row(panel, tokens);
      } else {
        pack_panel(b_, tokens, column, {nullptr, right_ + column * kPanelWords});
      }
    }
  });
  const auto pairs = static_cast<std::int64_t>(pairs_.size());
  backend.parallel_for(pairs, 1, [&](std::int64_t begin, std::int64_t end) {
    const TileRegisters registers;
    for (std::int64_t i = begin; i < end; ++i) {
      const PanelPair& pair = pairs_[static_cast<std::size_t>(i)];
      add_panel_products({left_ + pair.row * count_ * kPanelWords,
                          right_ + pair.column * kPanelWords, tokens.steps(), count_},
                         pair, product_);
    }
  });
}

void TileProduct::pack_row(std::int64_t panel, const TokenRange& tokens) const {
  std::uint32_t* place = left_ + panel * count_ * kPanelWords;
  for (const Bits& part : parts_) {
    pack_panel(part, tokens, panel, {place, nullptr, count_ * kTileStepWords});
    place += kTileStepWords;
  }
}

}  // namespace

void add_tile_product(std::span<const Bits> parts, const Bits& b,
                      const kernels::MatrixView<float>& product, const kernels::Backend& backend) {
  ensure(!backend.cuda, "tile_product: there is no CUDA twin; LibTorch's product is it");
  ensure(has_bfloat16_tiles(), "tile_product: this machine has no tiles of bfloat16");
  ensure(!parts.empty() && product.columns == b.columns, "tile_product: the product is not (N, M)");
  for (const Bits& part : parts) {
    ensure(part.rows == b.rows && part.columns == product.rows,
           "tile_product: a part is not (tokens, N)");
  }
  if (b.rows == 0 || product.rows == 0 || product.columns == 0) return;
  TileProduct(parts, b, product).add(backend);
}

}  // namespace sgpt_mi::cpu_kernels

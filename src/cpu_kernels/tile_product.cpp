#include <algorithm>
#include <cstddef>
#include <vector>

#include "aligned_words.h"
#include "bfloat16_sets.h"
#include "tile_panels.h"
#include "tile_registers.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// One call: packs a few tokens after the others into panels and multiplies those of a with those
/// of b, or those of b with one another as far as row <= column.
class TileProduct {
 public:
  TileProduct(const Bfloat16View& a, const Bfloat16View& b, const kernels::MatrixView<float>& sums)
      : TileProduct(a, b, sums, /*upper=*/false) {}
  TileProduct(const Bfloat16View& b, const kernels::MatrixView<float>& sums)
      : TileProduct(b, b, sums, /*upper=*/true) {}

  void add(const kernels::Backend& backend) const;

 private:
  TileProduct(const Bfloat16View& a, const Bfloat16View& b, const kernels::MatrixView<float>& sums,
              bool upper)
      : a_(a),
        b_(b),
        sums_(sums),
        upper_(upper),
        rows_(panels_of(sums.rows)),
        columns_(panels_of(sums.columns)),
        pairs_(panel_pairs(rows_, columns_, upper)),
        words_((rows_ + columns_) * kPanelWords),
        left_(words_.data()),
        right_(left_ + rows_ * kPanelWords) {}

  void add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const;
  void pack(std::int64_t panel, const TokenRange& tokens) const;

  Bfloat16View a_;
  Bfloat16View b_;
  kernels::MatrixView<float> sums_;
  bool upper_;            ///< b's panels in both forms, and a's are not read
  std::int64_t rows_;     ///< panels of a
  std::int64_t columns_;  ///< panels of b
  std::vector<PanelPair> pairs_;
  /// Both operands. Of two pieces of memory malloc would return one to the system at the end of
  /// each call, and the next one would wait for its pages.
  AlignedWords words_;
  std::uint32_t* left_;   ///< (panels, kPanelWords)
  std::uint32_t* right_;  ///< the same
};

void TileProduct::add(const kernels::Backend& backend) const {
  for (std::int64_t first = 0; first < b_.rows; first += kPanelTokens) {
    add_tokens({first, std::min(first + kPanelTokens, b_.rows)}, backend);
  }
}

void TileProduct::add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const {
  backend.parallel_for(columns_ + (upper_ ? 0 : rows_), 1,
                       [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t panel = begin; panel < end; ++panel) pack(panel, tokens);
                       });
  const auto pairs = static_cast<std::int64_t>(pairs_.size());
  backend.parallel_for(pairs, 1, [&](std::int64_t begin, std::int64_t end) {
    const TileRegisters registers;
    for (std::int64_t i = begin; i < end; ++i) {
      const PanelPair& pair = pairs_[static_cast<std::size_t>(i)];
      add_panel_products(
          {left_ + pair.row * kPanelWords, right_ + pair.column * kPanelWords, tokens.steps()},
          pair, sums_);
    }
  });
}

/// Panels of b, then those of a.
void TileProduct::pack(std::int64_t panel, const TokenRange& tokens) const {
  const std::int64_t row = panel - columns_;
  if (row >= 0) return pack_panel(a_, tokens, row, {left_ + row * kPanelWords, nullptr});
  const std::int64_t place = panel * kPanelWords;
  pack_panel(b_, tokens, panel, {upper_ ? left_ + place : nullptr, right_ + place});
}

}  // namespace

void add_tile_moment(const Bfloat16View& x, const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend) {
  TileProduct(x, second_moment).add(backend);
}

void add_tile_product(const Bfloat16View& a, const Bfloat16View& b,
                      const kernels::MatrixView<float>& product, const kernels::Backend& backend) {
  TileProduct(a, b, product).add(backend);
}

}  // namespace sgpt_mi::cpu_kernels

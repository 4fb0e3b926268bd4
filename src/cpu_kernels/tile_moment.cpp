#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned_words.h"
#include "bfloat16_moment.h"
#include "tile_panels.h"
#include "tile_registers.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// One call: packs a few tokens after the others into panels and multiplies these with each other.
class TileMoment {
 public:
  TileMoment(const kernels::MatrixView<const std::uint16_t>& x,
             const kernels::MatrixView<float>& sums)
      : x_(x),
        sums_(sums),
        panels_(panels_of(x.columns)),
        pairs_(panel_pairs(panels_, panels_, /*upper=*/true)),
        words_(2 * panels_ * kPanelWords),
        left_(words_.data()),
        right_(left_ + panels_ * kPanelWords) {}

  void add(const kernels::Backend& backend);

 private:
  void add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const;

  const kernels::MatrixView<const std::uint16_t>& x_;
  const kernels::MatrixView<float>& sums_;
  std::int64_t panels_;
  std::vector<PanelPair> pairs_;
  /// Both operands. Of two pieces of memory malloc would return one to the system at the end of
  /// each call, and the next one would wait for its pages.
  AlignedWords words_;
  std::uint32_t* left_;   ///< (panels, kPanelWords)
  std::uint32_t* right_;  ///< the same
};

void TileMoment::add(const kernels::Backend& backend) {
  for (std::int64_t first = 0; first < x_.rows; first += kPanelTokens) {
    add_tokens({first, std::min(first + kPanelTokens, x_.rows)}, backend);
  }
}

void TileMoment::add_tokens(const TokenRange& tokens, const kernels::Backend& backend) const {
  backend.parallel_for(panels_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t place = panel * kPanelWords;
      pack_panel(x_, tokens, panel, {left_ + place, right_ + place});
    }
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

}  // namespace

void add_tile_moment(const kernels::MatrixView<const std::uint16_t>& x,
                     const kernels::MatrixView<float>& second_moment,
                     const kernels::Backend& backend) {
  TileMoment(x, second_moment).add(backend);
}

}  // namespace sgpt_mi::cpu_kernels

#include "sgpt_mi/cpu_kernels/bfloat16_product.h"

#include <vector>

#include "bfloat16_sets.h"
#include "moment_tile.h"
#include "panel_product.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cpu_kernels {
namespace {

const MomentKernel& dot_product_kernel() {
  static const MomentKernel kernel = bfloat16_moment_kernels().front();
  return kernel;
}

void add_dot_product_moment(const Bfloat16View& x, const kernels::MatrixView<float>& second_moment,
                            const kernels::Backend& backend) {
  PanelProduct<std::uint16_t>(x, second_moment, dot_product_kernel()).add(backend);
}

void add_dot_product(const Bfloat16View& a, const Bfloat16View& b,
                     const kernels::MatrixView<float>& product, const kernels::Backend& backend) {
  PanelProduct<std::uint16_t>(a, b, product, dot_product_kernel()).add(backend);
}

}  // namespace

std::vector<Bfloat16Set> bfloat16_sets() {
  std::vector<Bfloat16Set> sets;
  if (has_bfloat16_tiles()) sets.push_back({"AMX_BF16", add_tile_moment, add_tile_product});
  if (!bfloat16_moment_kernels().empty()) {
    sets.push_back({"AVX512_BF16", add_dot_product_moment, add_dot_product});
  }
  return sets;
}

bool multiplies_bfloat16() {
  static const bool multiplies = !bfloat16_sets().empty();
  return multiplies;
}

void add_bfloat16_product(const Bfloat16View& a, const Bfloat16View& b,
                          const kernels::MatrixView<float>& product,
                          const kernels::Backend& backend) {
  static const std::vector<Bfloat16Set> sets = bfloat16_sets();
  ensure(!backend.cuda, "bfloat16_product: there is no CUDA twin; LibTorch's product is it");
  ensure(a.rows == b.rows && a.columns == product.rows && b.columns == product.columns,
         "bfloat16_product: a is not (tokens, N), b not (tokens, M) or the product not (N, M)");
  ensure(!sets.empty(), "bfloat16_product: this processor does not multiply bfloat16");
  if (b.rows == 0 || product.rows == 0 || product.columns == 0) return;
  sets.front().add_product(a, b, product, backend);
}

}  // namespace sgpt_mi::cpu_kernels

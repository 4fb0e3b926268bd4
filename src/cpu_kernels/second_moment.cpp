#include "sgpt_mi/cpu_kernels/second_moment.h"

#include <vector>

#include "bfloat16_sets.h"
#include "moment_tile.h"
#include "panel_product.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cpu_kernels {
namespace {

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

}  // namespace

void add_second_moment(const kernels::MatrixView<const float>& x,
                       const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend) {
  static const MomentKernel kernel = moment_kernels().front();
  if (has_products(x, second_moment, backend)) {
    PanelProduct<float>(x, second_moment, kernel).add(backend);
  }
}

void add_second_moment(const Bfloat16View& x, const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend) {
  static const std::vector<Bfloat16Set> sets = bfloat16_sets();
  ensure(!sets.empty(), "second_moment: this processor does not multiply bfloat16");
  if (has_products(x, second_moment, backend)) sets.front().add_moment(x, second_moment, backend);
}

}  // namespace sgpt_mi::cpu_kernels

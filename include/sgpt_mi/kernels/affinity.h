#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// The degrees of a graph and their inverse roots.
struct AffinityDegrees {
  MatrixView<const float> affinity;  ///< (N, N)
  double* degree = nullptr;          ///< (N) out
  double* inverse_root = nullptr;    ///< (N) out; 0 where the degree is not above 0
};

/// Row sums d_i = sum_j A_ij and d_i^(-1/2), the diagonal of D^(-1/2) in D^(-1/2) A D^(-1/2).
///
/// Sums are in float64, element j in partial sum j % 32, partial sums added pairwise 16, 8, 4, 2
/// and 1 apart: the same bits from both twins and every number of threads.
///
/// Cost: one pass over A.
///
/// \throws Error(kInternal) missing memory.
void find_degrees(const AffinityDegrees& degrees, const Backend& backend);

/// Vectors beside each other and a factor for each of their rows.
struct RowScaling {
  MatrixView<const double> values;  ///< (rows, columns)
  const double* factor = nullptr;   ///< (rows)
  MatrixView<float> scaled;         ///< (rows, columns) out
};

/// scaled_rc = factor_r * values_rc, a float64 product rounded to float32.
///
/// Cost: one pass.
///
/// \throws Error(kInternal) shapes that disagree.
void scale_rows(const RowScaling& scaling, const Backend& backend);

}  // namespace sgpt_mi::kernels

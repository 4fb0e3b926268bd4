#pragma once

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// second_moment_jk += sum over tokens of x_tj x_tk   for j <= k,
///
/// skipping the zeros of x (tokens, N); second_moment is (N, N), and below its diagonal nothing is
/// touched. Inputs of a linear that follows a ReLU are mostly zeros (Li et al. 2023, The Lazy
/// Neuron Phenomenon, arXiv 2210.06313), and this is then far cheaper than a dense product.
///
/// Sums are float32, token after token, from zero in each call. Results do not depend on the number
/// of threads.
///
/// CPU only. Cost: half the sum over tokens of the squared number of non-zeros, each at about the
/// price of 20 multiply-adds of a dense product; 8 bytes a non-zero and 256 KiB a thread.
///
/// \throws Error(kInternal) shapes that disagree; a CUDA backend.
void add_sparse_second_moment(const kernels::MatrixView<const float>& x,
                              const kernels::MatrixView<float>& second_moment,
                              const kernels::Backend& backend);

/// product_jk += sum over tokens of x_tj y_tk,
///
/// skipping the zeros of x (tokens, N) and y (tokens, M); product is (N, M). Sums, threads and
/// places as above. Cost: the sum over tokens of the products of both numbers of non-zeros, each at
/// about the price of 20 multiply-adds of a dense product.
///
/// \throws Error(kInternal) shapes that disagree; a CUDA backend.
void add_sparse_product(const kernels::MatrixView<const float>& x,
                        const kernels::MatrixView<const float>& y,
                        const kernels::MatrixView<float>& product, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels

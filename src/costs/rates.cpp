#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>

#include "sgpt_mi/costs/rank_costs.h"

namespace sgpt_mi::costs {
namespace {

/// Operations a second of a product of two square matrices; the best of some.
double product_rate(torch::ScalarType type) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t kSide = 1024;
  constexpr int kTries = 4;
  const torch::Tensor side = at::ones({kSide, kSide}, type);
  double least = 1e30;
  for (int i = 0; i < kTries; ++i) {
    const auto start = Clock::now();
    static_cast<void>(at::mm(side, side));
    least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return 2.0 * static_cast<double>(kSide * kSide * kSide) / least;
}

}  // namespace

Rates measured_rates(torch::ScalarType walk_type) {
  // Of SmolLM2-135M on one core with AMX: a forward in bfloat16 reached 0.42 of the product's rate,
  // scoring in float32 0.9, column loops and factorisations 0.7.
  constexpr double kForwardShare = 0.4;
  constexpr double kColumnShare = 0.7;
  constexpr double kWire = 1e9;
  const double wide = product_rate(torch::kFloat32);
  const bool narrow = walk_type != torch::kFloat32;
  const double walk = narrow ? product_rate(walk_type) : wide;
  Rates rates;
  rates.walk = narrow ? kForwardShare * walk : walk;
  rates.wide = wide;
  rates.sweeps = rates.factors = kColumnShare * wide;
  rates.wire = kWire;
  rates.source = fmt::format(
      "products measured here, {:.0f} Gflop/s in the walk's type and {:.0f} in float32; 1 GB/s "
      "between ranks",
      walk / 1e9, wide / 1e9);
  return rates;
}

Rates gpu_rates() {
  constexpr double kNarrow = 989e12;
  constexpr double kWide = 67e12;
  Rates rates;
  rates.walk = 0.6 * kNarrow;
  rates.wide = rates.sweeps = 0.7 * kWide;
  rates.factors = 0.15 * kWide;
  rates.wire = 25e9;
  rates.column = 0.7e-6;
  rates.source = "rates of one H200 a rank, 25 GB/s between ranks";
  return rates;
}

}  // namespace sgpt_mi::costs

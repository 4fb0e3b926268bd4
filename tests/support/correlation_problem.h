#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "sgpt_mi/kernels/correlation.h"
#include "support/matrix.h"
#include "support/twin_device.h"

namespace sgpt_mi::test {

/// What correlate makes, with guards around.
struct CorrelationMaps {
  Matrix<float> rho;
  Matrix<float> strength;
  Matrix<float> nats;
};

/// Sums of random tokens. The lower part of
/// the second moment is not a number, because nobody may use it.
struct CorrelationProblem {
  static constexpr float kGuard = 12345.0F;

  Matrix<float> second_moment;
  std::vector<double> mean;
  std::vector<double> inverse_deviation;
  std::int64_t tokens;
  double cap = 1.0 - 0x1p-23;

  /// Channel 1 (if there) is constant, channel 2 twice channel 0, all means are about 1.
  explicit CorrelationProblem(std::int64_t channels, unsigned seed, std::int64_t padding = 3)
      : second_moment(channels, channels, kGuard, padding), tokens(40) {
    Matrix<double> x = normal_matrix<double>(tokens, channels, seed);
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t c = 0; c < channels; ++c)
        x(t, c) += 1.0 + (c > 0 ? 0.6 * x(t, c - 1) : 0.0);
      if (channels > 1) x(t, 1) = 2.0;
      if (channels > 2) x(t, 2) = 2.0 * x(t, 0);
    }
    for (std::int64_t i = 0; i < channels; ++i) fill_row(x, i);
  }

  [[nodiscard]] CorrelationMaps run(TwinDevice& device) const {
    const PlacedMatrix<float> sums(device, second_moment);
    const Matrix<float> empty(second_moment.rows(), second_moment.rows(), kGuard, 3);
    const PlacedMatrix<float> rho(device, empty);
    const PlacedMatrix<float> strength(device, empty);
    const PlacedMatrix<float> nats(device, empty);
    kernels::CorrelationMap map;
    map.second_moment_sum = sums.const_view();
    map.mean = placed(device, mean);
    map.inverse_deviation = placed(device, inverse_deviation);
    map.share = 1.0 / static_cast<double>(tokens);
    map.cap = cap;
    map.rho = rho.view();
    map.strength = strength.view();
    map.nats = nats.view();
    kernels::correlate(map, device.backend);
    return {rho.fetched(), strength.fetched(), nats.fetched()};
  }

  [[nodiscard]] CorrelationMaps run(const kernels::Backend& backend = {}) const {
    TwinDevice device = host_device(backend);
    return run(device);
  }

 private:
  void fill_row(const Matrix<double>& x, std::int64_t i) {
    const std::int64_t channels = second_moment.rows();
    double sum = 0.0;
    for (std::int64_t t = 0; t < tokens; ++t) sum += x(t, i);
    mean.push_back(sum / static_cast<double>(tokens));
    for (std::int64_t j = 0; j < channels; ++j) {
      double product = 0.0;
      for (std::int64_t t = 0; t < tokens; ++t) product += x(t, i) * x(t, j);
      second_moment(i, j) =
          j < i ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(product);
    }
    const double variance = static_cast<double>(second_moment(i, i)) / static_cast<double>(tokens) -
                            mean.back() * mean.back();
    inverse_deviation.push_back(i == 1 ? 0.0 : 1.0 / std::sqrt(variance));
  }
};

}  // namespace sgpt_mi::test

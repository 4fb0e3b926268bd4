#include "sgpt_mi/kernels/kth_smallest.h"

#include <array>
#include <cstring>
#include <mutex>

#include "cuda_twins.h"
#include "radix_select.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels {
namespace {

/// Fewer values than this per thread are not worth starting one.
constexpr std::int64_t kGrain = 1 << 15;

std::uint32_t key_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return order_key(bits);
}

RadixHistogram histogram(const float* values, std::int64_t count, const RadixDigit& digit,
                         const ParallelFor& parallel_for) {
  RadixHistogram total{};
  std::mutex mutex;
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    RadixHistogram local{};
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t key = key_of(values[i]);
      if (digit.matches(key)) ++local[digit.bucket(key)];
    }
    const std::lock_guard lock(mutex);
    for (std::size_t b = 0; b < total.size(); ++b) total[b] += local[b];
  });
  return total;
}

}  // namespace

float kth_smallest(const float* values, std::int64_t count, std::int64_t k,
                   const Backend& backend) {
  ensure(values != nullptr && k >= 0 && k < count, "kth_smallest: k is outside [0, count)");
  if (backend.cuda) return cuda::kth_smallest(values, count, k, backend.cuda_stream);
  return radix_select(k, [&](const RadixDigit& digit) {
    return histogram(values, count, digit, backend.parallel_for);
  });
}

}  // namespace sgpt_mi::kernels

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

/// Adds the keys of a run that match the digit to `total`, by bucket.
void count_digit(const ValueRun& run, const RadixDigit& digit, RadixHistogram& total) {
  std::mutex mutex;
  run.backend.parallel_for(run.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    RadixHistogram local{};
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t key = key_of(run.values[i]);
      if (digit.matches(key)) ++local[digit.bucket(key)];
    }
    const std::lock_guard lock(mutex);
    for (std::size_t b = 0; b < total.size(); ++b) total[b] += local[b];
  });
}

void check(const std::vector<ValueRun>& runs, std::int64_t k) {
  std::int64_t count = 0;
  for (const ValueRun& run : runs) {
    ensure(run.count >= 0 && (run.count == 0 || run.values != nullptr),
           "kth_smallest: a run has no values");
    ensure(run.backend.cuda == runs.front().backend.cuda,
           "kth_smallest: some runs are on CUDA devices and others are not");
    count += run.count;
  }
  ensure(k >= 0 && k < count, "kth_smallest: k is outside [0, count)");
}

}  // namespace

float kth_smallest(const std::vector<ValueRun>& runs, std::int64_t k) {
  check(runs, k);
  if (runs.front().backend.cuda) return cuda::kth_smallest(runs, k);
  return radix_select(k, [&](const RadixDigit& digit) {
    RadixHistogram total{};
    for (const ValueRun& run : runs) count_digit(run, digit, total);
    return total;
  });
}

float kth_smallest(const float* values, std::int64_t count, std::int64_t k,
                   const Backend& backend) {
  return kth_smallest({{values, count, backend}}, k);
}

}  // namespace sgpt_mi::kernels

#include "sgpt_mi/kernels/kth_smallest.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

#include "cuda_twins.h"
#include "radix_select.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::kernels {
namespace {

/// Fewer values than this per thread are not worth starting one.
constexpr std::int64_t kGrain = 1 << 15;

/// Values whose keys are computed together, before the loop that cannot be vectorised.
constexpr std::int64_t kChunk = 512;

using Keys = std::array<std::uint32_t, kChunk>;

SGPT_MI_SIMD_CLONES void compute_keys(const float* __restrict values, std::int64_t count,
                                      std::uint32_t* __restrict keys) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, values + i, sizeof bits);
    keys[i] = order_key(bits);
  }
}

/// body(keys, count) for the keys of every chunk of values begin .. end - 1.
template <typename Body>
void for_each_chunk(const float* values, std::int64_t begin, std::int64_t end, const Body& body) {
  Keys keys;
  for (std::int64_t i = begin; i < end; i += kChunk) {
    const std::int64_t count = std::min(kChunk, end - i);
    compute_keys(values + i, count, keys.data());
    body(keys.data(), count);
  }
}

/// Counts the keys digit by digit. Only the first digit looks at all values; those that share its
/// bucket with the wanted one are then few, and are collected.
class Counter {
 public:
  Counter(const float* values, std::int64_t count, const ParallelFor& parallel_for)
      : values_(values), count_(count), parallel_for_(parallel_for) {}

  RadixHistogram operator()(const RadixDigit& digit) {
    if (digit.shift + digit.bits == 32) return count_all(digit);
    if (!collected_) collect(digit);
    RadixHistogram total{};
    for (const std::uint32_t key : keys_) {
      if (digit.matches(key)) ++total[digit.bucket(key)];
    }
    return total;
  }

 private:
  RadixHistogram count_all(const RadixDigit& digit);
  void collect(const RadixDigit& digit);

  const float* values_;
  std::int64_t count_;
  const ParallelFor& parallel_for_;
  bool collected_ = false;
  std::vector<std::uint32_t> keys_;  ///< that match the second digit's prefix, in any order
};

RadixHistogram Counter::count_all(const RadixDigit& digit) {
  RadixHistogram total{};
  std::mutex mutex;
  parallel_for_(count_, kGrain, [&](std::int64_t begin, std::int64_t end) {
    // Two counts by turns: neighbours often share a bucket, and one increment waits for another.
    std::array<RadixHistogram, 2> local{};
    for_each_chunk(values_, begin, end, [&](const std::uint32_t* keys, std::int64_t count) {
      for (std::int64_t i = 0; i + 1 < count; i += 2) {
        ++local[0][digit.bucket(keys[i])];
        ++local[1][digit.bucket(keys[i + 1])];
      }
      if (count % 2 != 0) ++local[0][digit.bucket(keys[count - 1])];
    });
    const std::lock_guard lock(mutex);
    for (std::size_t b = 0; b < total.size(); ++b) total[b] += local[0][b] + local[1][b];
  });
  return total;
}

void Counter::collect(const RadixDigit& digit) {
  collected_ = true;
  std::mutex mutex;
  parallel_for_(count_, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint32_t> local;
    for_each_chunk(values_, begin, end, [&](const std::uint32_t* keys, std::int64_t count) {
      Keys matching;  // written at every key, kept at those that match: no branch to mispredict
      std::size_t found = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        matching[found] = keys[i];
        found += digit.matches(keys[i]) ? 1 : 0;
      }
      local.insert(local.end(), matching.begin(),
                   matching.begin() + static_cast<std::ptrdiff_t>(found));
    });
    const std::lock_guard lock(mutex);
    keys_.insert(keys_.end(), local.begin(), local.end());
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
  std::vector<Counter> counters;
  counters.reserve(runs.size());
  for (const ValueRun& run : runs) {
    counters.emplace_back(run.values, run.count, run.backend.parallel_for);
  }
  return radix_select(k, [&](const RadixDigit& digit) {
    RadixHistogram total{};
    for (Counter& counter : counters) {
      const RadixHistogram counts = counter(digit);
      for (std::size_t b = 0; b < total.size(); ++b) total[b] += counts[b];
    }
    return total;
  });
}

}  // namespace sgpt_mi::kernels

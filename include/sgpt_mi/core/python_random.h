#pragma once

#include <array>
#include <cstdint>

namespace sgpt_mi {

/// CPython's `random.Random`: MT19937 seeded as `random.seed(int)` does, and `randint`.
///
/// The SparseGPT and GPTQ loaders draw their calibration windows with it, so the same seed must
/// give the same windows here. Source: CPython 3.11, Modules/_randommodule.c (init_by_array,
/// getrandbits) and Lib/random.py (_randbelow_with_getrandbits).
class PythonRandom {
 public:
  /// `random.seed(seed)` for a non-negative integer.
  explicit PythonRandom(std::uint64_t seed);

  /// The next raw 32-bit output of the generator.
  [[nodiscard]] std::uint32_t next_u32();

  /// `random.getrandbits(k)` for 0 <= k <= 64.
  [[nodiscard]] std::uint64_t getrandbits(int k);

  /// `random.randint(low, high)`: uniform over [low, high], both included, by rejection.
  /// Throws Error(kInternal) when high < low.
  [[nodiscard]] std::int64_t randint(std::int64_t low, std::int64_t high);

  /// The generator's 624 state words, for tests.
  [[nodiscard]] const std::array<std::uint32_t, 624>& state() const { return state_; }

 private:
  void seed_by_word(std::uint32_t word);
  void twist();

  std::array<std::uint32_t, 624> state_{};
  int position_ = 624;
};

}  // namespace sgpt_mi

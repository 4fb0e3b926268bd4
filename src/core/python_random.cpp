#include "sgpt_mi/core/python_random.h"

#include <bit>
#include <cstddef>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {
namespace {

constexpr std::size_t kWords = 624;
constexpr std::size_t kShift = 397;

}  // namespace

void PythonRandom::seed_by_word(std::uint32_t word) {
  state_[0] = word;
  for (std::size_t i = 1; i < kWords; ++i) {
    const std::uint32_t previous = state_[i - 1];
    state_[i] = 1812433253U * (previous ^ (previous >> 30)) + static_cast<std::uint32_t>(i);
  }
  position_ = static_cast<int>(kWords);
}

PythonRandom::PythonRandom(std::uint64_t seed) {
  std::vector<std::uint32_t> key{static_cast<std::uint32_t>(seed)};
  if ((seed >> 32) != 0) key.push_back(static_cast<std::uint32_t>(seed >> 32));

  seed_by_word(19650218U);
  std::size_t i = 1;
  std::size_t j = 0;
  const auto advance = [&] {
    if (++i == kWords) {
      state_[0] = state_[kWords - 1];
      i = 1;
    }
  };
  // The key has at most two words, so the first pass always has 624 steps.
  for (std::size_t step = 0; step < kWords; ++step) {
    const std::uint32_t previous = state_[i - 1];
    state_[i] = (state_[i] ^ ((previous ^ (previous >> 30)) * 1664525U)) + key[j] +
                static_cast<std::uint32_t>(j);
    if (++j == key.size()) j = 0;
    advance();
  }
  for (std::size_t step = 0; step + 1 < kWords; ++step) {
    const std::uint32_t previous = state_[i - 1];
    state_[i] =
        (state_[i] ^ ((previous ^ (previous >> 30)) * 1566083941U)) - static_cast<std::uint32_t>(i);
    advance();
  }
  state_[0] = 0x80000000U;
}

void PythonRandom::twist() {
  for (std::size_t i = 0; i < kWords; ++i) {
    const std::uint32_t y = (state_[i] & 0x80000000U) | (state_[(i + 1) % kWords] & 0x7fffffffU);
    state_[i] = state_[(i + kShift) % kWords] ^ (y >> 1) ^ ((y & 1U) != 0 ? 0x9908b0dfU : 0U);
  }
  position_ = 0;
}

std::uint32_t PythonRandom::next_u32() {
  if (position_ >= static_cast<int>(kWords)) twist();
  std::uint32_t y = state_[static_cast<std::size_t>(position_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680U;
  y ^= (y << 15) & 0xefc60000U;
  y ^= y >> 18;
  return y;
}

std::uint64_t PythonRandom::getrandbits(int k) {
  ensure(k >= 0 && k <= 64, "core: getrandbits takes 0 to 64 bits");
  if (k == 0) return 0;
  if (k <= 32) return next_u32() >> (32 - k);
  const std::uint64_t low = next_u32();
  const std::uint64_t high = next_u32() >> (64 - k);
  return low | (high << 32);
}

std::int64_t PythonRandom::randint(std::int64_t low, std::int64_t high) {
  ensure(high >= low, "core: randint needs low <= high");
  const std::uint64_t count =
      static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  ensure(count != 0, "core: randint range is too wide");
  const int bits = static_cast<int>(std::bit_width(count));
  std::uint64_t draw = getrandbits(bits);
  while (draw >= count) draw = getrandbits(bits);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + draw);
}

}  // namespace sgpt_mi

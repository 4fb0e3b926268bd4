#include "sgpt_mi/kernels/pack_bits.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "arithmetic.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as the stream's bytes");

constexpr std::int64_t kRun = 8;  // codes that fill whole bytes at every width

/// `bits` ones, repeated every `step` bits through 64.
constexpr std::uint64_t fields(int bits, int step) {
  std::uint64_t mask = 0;
  const std::uint64_t ones = (std::uint64_t{1} << bits) - 1;
  for (int at = 0; at < 64; at += step) mask |= ones << at;
  return mask;
}

/// Moves the upper half of every pair of fields up by `gap`: pairs lie `step` bits apart.
template <int kBits, int kStep, int kGap>
constexpr std::uint64_t part(std::uint64_t word) {
  constexpr std::uint64_t kLow = fields(kBits, kStep);
  return (word & kLow) | ((word & (kLow << kBits)) << kGap);
}

/// The inverse of part.
template <int kBits, int kStep, int kGap>
constexpr std::uint64_t join(std::uint64_t word) {
  constexpr std::uint64_t kLow = fields(kBits, kStep);
  return (word & kLow) | ((word >> kGap) & (kLow << kBits));
}

/// 8 neighbouring codes to one per byte: halves apart, then quarters, then single codes.
template <int W>
constexpr std::uint64_t spread(std::uint64_t word) {
  return part<W, 16, 8 - W>(part<2 * W, 32, 16 - 2 * W>(part<4 * W, 64, 32 - 4 * W>(word)));
}

template <int W>
constexpr std::uint64_t gather(std::uint64_t word) {
  return join<4 * W, 64, 32 - 4 * W>(join<2 * W, 32, 16 - 2 * W>(join<W, 16, 8 - W>(word)));
}

/// Runs whose 8 bytes from their first one on lie within the stream: these move whole words, whose
/// excess is masked away (reading) or overwritten by the runs after them (writing).
template <int W>
constexpr std::int64_t word_runs(std::int64_t runs) {
  constexpr std::int64_t kLast = (kRun - 1) / W;  // so many runs at the end reach beyond it
  return runs > kLast ? runs - kLast : 0;
}

/// Whole runs only. Returns the bits of the codes that do not fit.
template <int W>
std::uint64_t pack_runs(const std::uint8_t* codes, std::int64_t runs, std::uint8_t* packed) {
  std::uint64_t lost = 0;
  const auto next = [&](std::int64_t run) {
    std::uint64_t word = 0;
    std::memcpy(&word, codes + run * kRun, sizeof word);
    lost |= word & ~fields(W, 8);
    return gather<W>(word);
  };
  std::int64_t run = 0;
  for (; run < word_runs<W>(runs); ++run) {
    const std::uint64_t word = next(run);
    std::memcpy(packed + run * W, &word, sizeof word);
  }
  for (; run < runs; ++run) {
    const std::uint64_t word = next(run);
    std::memcpy(packed + run * W, &word, W);
  }
  return lost;
}

template <int W>
void unpack_runs(const std::uint8_t* packed, std::int64_t runs, std::uint8_t* codes) {
  const auto put = [&](std::int64_t run, std::uint64_t word) {
    word = spread<W>(word);
    std::memcpy(codes + run * kRun, &word, sizeof word);
  };
  std::int64_t run = 0;
  for (; run < word_runs<W>(runs); ++run) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed + run * W, sizeof word);
    put(run, word);
  }
  for (; run < runs; ++run) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed + run * W, W);
    put(run, word);
  }
}

using PackRuns = std::uint64_t (*)(const std::uint8_t*, std::int64_t, std::uint8_t*);
using UnpackRuns = void (*)(const std::uint8_t*, std::int64_t, std::uint8_t*);

constexpr std::array<PackRuns, 8> kPackRuns{pack_runs<1>, pack_runs<2>, pack_runs<3>, pack_runs<4>,
                                            pack_runs<5>, pack_runs<6>, pack_runs<7>, pack_runs<8>};
constexpr std::array<UnpackRuns, 8> kUnpackRuns{unpack_runs<1>, unpack_runs<2>, unpack_runs<3>,
                                                unpack_runs<4>, unpack_runs<5>, unpack_runs<6>,
                                                unpack_runs<7>, unpack_runs<8>};

std::size_t table_index(int width) {
  ensure(width >= 1 && width <= 8, "pack_bits: a width is outside 1 to 8");
  return static_cast<std::size_t>(width - 1);
}

std::uint8_t byte_at(const std::uint8_t* packed, std::int64_t index, int width) {
  return static_cast<std::uint8_t>(code_at(packed, index, width));
}

}  // namespace

void pack_bits(const std::uint8_t* codes, std::int64_t count, int width, std::uint8_t* packed) {
  const PackRuns pack = kPackRuns[table_index(width)];
  const std::int64_t runs = count / kRun;
  std::uint64_t lost = pack(codes, runs, packed);
  if (const std::int64_t rest = count % kRun; rest > 0) {
    std::array<std::uint8_t, kRun> last{};
    std::array<std::uint8_t, kRun> bytes{};
    std::copy_n(codes + runs * kRun, rest, last.begin());
    lost |= pack(last.data(), 1, bytes.data());
    std::copy_n(bytes.begin(), packed_bytes(rest, width), packed + runs * width);
  }
  ensure(lost == 0, "pack_bits: a code has more bits than its width");
}

std::int64_t count_bits(const std::uint8_t* packed, std::int64_t first, std::int64_t count) {
  const std::int64_t end = first + count;
  std::int64_t ones = 0;
  std::int64_t at = first;
  for (; at < end && at % 8 != 0; ++at) ones += code_at(packed, at, 1);
  for (; at + 64 <= end; at += 64) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed + at / 8, sizeof word);
    ones += std::popcount(word);
  }
  for (; at + 8 <= end; at += 8) ones += std::popcount(packed[at / 8]);
  for (; at < end; ++at) ones += code_at(packed, at, 1);
  return ones;
}

void unpack_bits(const std::uint8_t* packed, std::int64_t first, std::int64_t count, int width,
                 std::uint8_t* codes) {
  const UnpackRuns unpack = kUnpackRuns[table_index(width)];
  const std::int64_t end = first + count;
  std::int64_t at = first;
  for (; at < end && at % kRun != 0; ++at) *codes++ = byte_at(packed, at, width);
  const std::int64_t runs = (end - at) / kRun;
  unpack(packed + at / kRun * width, runs, codes);
  at += runs * kRun;
  codes += runs * kRun;
  for (; at < end; ++at) *codes++ = byte_at(packed, at, width);
}

}  // namespace sgpt_mi::kernels

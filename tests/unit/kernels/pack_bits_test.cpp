#include "sgpt_mi/kernels/pack_bits.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes packed(const Bytes& codes, int width) {
  const auto count = static_cast<std::int64_t>(codes.size());
  Bytes stream(static_cast<std::size_t>(packed_bytes(count, width)), 0xa5);
  pack_bits(codes.data(), count, width, stream.data());
  return stream;
}

Bytes random_codes(std::size_t count, int width, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int> code(0, (1 << width) - 1);
  Bytes codes(count);
  for (std::uint8_t& value : codes) value = static_cast<std::uint8_t>(code(engine));
  return codes;
}

TEST(PackBits, LowestBitsComeFirst) {
  EXPECT_EQ(packed({1, 0, 1, 1}, 1), (Bytes{0x0d}));
  EXPECT_EQ(packed({0x1, 0x2, 0xf}, 4), (Bytes{0x21, 0x0f}));
  // 001 010 011 100 from the right: 100 011 010 001 = 0x8d1.
  EXPECT_EQ(packed({1, 2, 3, 4}, 3), (Bytes{0xd1, 0x08}));
  EXPECT_EQ(packed({0xff, 0x12}, 8), (Bytes{0xff, 0x12}));
  EXPECT_TRUE(packed({}, 5).empty());
}

TEST(PackBits, EveryBitLiesWhereTheFormulaSays) {
  for (int width = 1; width <= 8; ++width) {
    const Bytes codes = random_codes(53, width, static_cast<unsigned>(width));
    const Bytes stream = packed(codes, width);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      for (int bit = 0; bit < width; ++bit) {
        const std::size_t at = i * static_cast<std::size_t>(width) + static_cast<std::size_t>(bit);
        ASSERT_EQ(stream[at / 8] >> (at % 8) & 1, codes[i] >> bit & 1) << width << " " << i;
      }
    }
    const std::size_t used = codes.size() * static_cast<std::size_t>(width) % 8;
    if (used != 0) {
      EXPECT_EQ(stream.back() >> used, 0) << width;
    }
  }
}

TEST(PackBits, EveryRangeOfAStreamReadsBack) {
  for (int width = 1; width <= 8; ++width) {
    const Bytes codes = random_codes(61, width, 10U + static_cast<unsigned>(width));
    const Bytes stream = packed(codes, width);  // exactly as long as needed: sanitizers see excess
    for (std::size_t first = 0; first <= codes.size(); ++first) {
      for (std::size_t count = 0; first + count <= codes.size(); ++count) {
        Bytes out(count);
        unpack_bits(stream.data(), static_cast<std::int64_t>(first),
                    static_cast<std::int64_t>(count), width, out.data());
        const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(first);
        ASSERT_EQ(out, Bytes(begin, begin + static_cast<std::ptrdiff_t>(count)))
            << "width " << width << ", from " << first;
      }
    }
  }
}

TEST(CountBits, EqualsCountingOneByOne) {
  const Bytes flags = random_codes(300, 1, 5);
  const Bytes stream = packed(flags, 1);
  for (std::size_t first = 0; first <= flags.size(); first += 3) {
    std::int64_t ones = 0;
    for (std::size_t end = first; end <= flags.size(); ++end) {
      ASSERT_EQ(kernels::count_bits(stream.data(), static_cast<std::int64_t>(first),
                                    static_cast<std::int64_t>(end - first)),
                ones);
      if (end < flags.size()) ones += flags[end];
    }
  }
}

TEST(PackBits, RefusesCodesThatDoNotFitAndUnknownWidths) {
  EXPECT_THROW((void)packed({3, 4}, 2), Error);                      // in the rest
  EXPECT_THROW((void)packed({0, 0, 0, 0, 0, 0, 128, 0}, 7), Error);  // in a whole run
  EXPECT_THROW((void)packed({0}, 0), Error);
  Bytes out(1);
  EXPECT_THROW(unpack_bits(out.data(), 0, 1, 9, out.data()), Error);
}

}  // namespace
}  // namespace sgpt_mi::kernels

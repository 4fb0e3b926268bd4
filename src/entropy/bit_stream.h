#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sgpt_mi::entropy {

/// Appends numbers to a bit stream, their least significant bits first. One bit at a time: labels
/// and tables are few.
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::byte>& out) : out_(out) {}

  void put(std::uint32_t value, int bits) {
    for (int i = 0; i < bits; ++i) put_bit(value >> i & 1U);
  }

  /// Elias' gamma code of a number above 0.
  void put_gamma(std::uint32_t value) {
    const auto bits = static_cast<int>(std::bit_width(value));
    for (int i = 1; i < bits; ++i) put_bit(0);
    for (int i = bits; i-- > 0;) put_bit(value >> i & 1U);
  }

 private:
  void put_bit(std::uint32_t bit) {
    if (used_ % 8 == 0) out_.push_back(std::byte{0});
    out_.back() |= static_cast<std::byte>(bit << used_ % 8);
    ++used_;
  }

  std::vector<std::byte>& out_;
  std::size_t used_ = 0;
};

/// Reads what BitWriter wrote. Behind the end there are zeros; overrun() tells that some were read.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint32_t take(int bits) {
    std::uint32_t value = 0;
    for (int i = 0; i < bits; ++i) value |= take_bit() << i;
    return value;
  }

  /// 0 where there is no such code of at most 16 bits behind its zeros.
  std::uint32_t take_gamma() {
    int zeros = 0;
    while (take_bit() == 0) {
      if (++zeros > 16 || overrun()) return 0;
    }
    std::uint32_t value = 1;
    for (int i = 0; i < zeros; ++i) value = value << 1 | take_bit();
    return value;
  }

  [[nodiscard]] bool overrun() const { return at_ > 8 * bytes_.size(); }

  /// Whether the stream ends in the byte read last, with bits of 0.
  [[nodiscard]] bool at_end() const {
    if ((at_ + 7) / 8 != bytes_.size()) return false;
    return at_ % 8 == 0 || std::to_integer<unsigned>(bytes_.back()) >> at_ % 8 == 0;
  }

 private:
  std::uint32_t take_bit() {
    const std::size_t byte = at_ / 8;
    const std::uint32_t bit =
        byte < bytes_.size() ? std::to_integer<std::uint32_t>(bytes_[byte]) >> at_ % 8 & 1U : 0U;
    ++at_;
    return bit;
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace sgpt_mi::entropy

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sgpt_mi::cpu_kernels {

/// Words of 32 bits that start on a cache line.
class AlignedWords {
 public:
  explicit AlignedWords(std::int64_t count)
      : lines_(new Line[static_cast<std::size_t>((count + kWords - 1) / kWords)]) {}
  [[nodiscard]] std::uint32_t* data() const { return lines_[0].words.data(); }

 private:
  static constexpr std::int64_t kWords = 16;
  struct alignas(64) Line {
    std::array<std::uint32_t, kWords> words;
  };
  std::unique_ptr<Line[]> lines_;  // not a vector: nothing is filled with zeros first
};

}  // namespace sgpt_mi::cpu_kernels

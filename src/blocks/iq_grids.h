#pragma once

#include <array>
#include <cstdint>

namespace sgpt_mi::blocks {

// The code books of ggml's IQ1, IQ2 and IQ3 types. An entry holds the levels of 8 neighbouring
// weights (IQ1, IQ2: 2 bits each) or of 4 (IQ3: 3 bits each), the first weight's in the lowest
// bits.
extern const std::array<std::uint16_t, 256> kGrid2Xxs;
extern const std::array<std::uint16_t, 512> kGrid2Xs;
extern const std::array<std::uint16_t, 1024> kGrid2S;
extern const std::array<std::uint16_t, 256> kGrid3Xxs;
extern const std::array<std::uint16_t, 512> kGrid3S;
extern const std::array<std::uint16_t, 2048> kGrid1;

// What a level stands for.
inline constexpr std::array<float, 3> kLevels2{8, 25, 43};
inline constexpr std::array<float, 8> kLevels3Xxs{4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<float, 8> kLevels3S{1, 3, 5, 7, 9, 11, 13, 15};
inline constexpr std::array<float, 3> kLevels1{-1, 0, 1};

}  // namespace sgpt_mi::blocks

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sgpt_mi::blocks {

/// One random block of a quantized GGUF type and what it holds according to the numpy code of
/// ggml's own `gguf` package (version 0.19.0, gguf.quants.dequantize).
struct GgufBlock {
  std::uint32_t type;
  std::string_view hex;                 ///< the packed block
  std::array<std::uint16_t, 6> places;  ///< some elements
  std::array<float, 6> values;          ///< their values
  double sum;                           ///< of all elements
  double weighted_sum;                  ///< of (i + 1) * element i, which feels the order
};

inline constexpr std::array<GgufBlock, 8> kGgufBlocks{{
    // Q4_0
    {2,
     "3524becf931aed15f5d3ef2d059d9f3c36ec",
     {0, 15, 16, 31, 1, 11},
     {0.098602295F, 0.06573486F, 0.049301147F, 0.098602295F, 0.11503601F, 0.08216858F},
     0.5423126220703125,
     4.2234649658203125},
    // Q4_1
    {3,
     "012af2ac3b68e16ee2c9089f1a1ba37a2129c943",
     {0, 15, 16, 31, 3, 7},
     {0.4386902F, 0.063446045F, 0.063446045F, 0.11035156F, 0.57940674F, 0.62631226F},
     8.174896240234375,
     121.25973510742188},
    // Q5_0
    {6,
     "172a48e3a815498410998c6b50a33d6e2fe594aa616e",
     {0, 15, 16, 31, 10, 14},
     {-0.33303833F, 0.66607666F, -0.57092285F, -0.47576904F, -0.047576904F, 0.047576904F},
     -3.473114013671875,
     -52.23944091796875},
    // Q5_1
    {7,
     "62ae0f2e58c5ea51943007a695287ea628363bb20d9987de",
     {0, 15, 16, 31, 4, 14},
     {-0.30426025F, -2.8972778F, -0.8029175F, -1.2018433F, -1.9996948F, -2.1991577F},
     -42.7474365234375,
     -728.4205322265625},
    // Q8_0
    {8,
     "03aea623fa62615067c1080b3d2d47e41d5aa4a9093dcd95e712a33e0ec0a7787351",
     {0, 15, 16, 31, 4, 11},
     {8.4539795F, -8.4539795F, 8.641846F, -7.6085815F, -9.111511F, -4.2269897F},
     -38.79437255859375,
     -476.89837646484375},
    // Q4_K
    {12,
     "7a2c6ea5a171ce5f5ee1ee40991f4217376dcd9b4c8816a9b8a62c85496a74ee26728dedfa7a0a35d502"
     "b09b61974da19dd8773f936a544cf94bc07c0ac4e3bd5fe6e14af9cadfb85a875da7ebbbfd37ec2b4963"
     "587773d43b94b9d731e55ba87d723501c3e8cbae1d1da139ff7bf0d1e7c9e3e92ff4b66d045efcf46685"
     "3ac2b19f5a53cf13e4e09a0c74626ea3311a",
     {0, 127, 128, 255, 61, 113},
     {16.793884F, 6.505005F, 34.943817F, 1.9693298F, 31.546234F, 30.35669F},
     4924.3751220703125,
     627808.6104736328},
    // Q5_K
    {13,
     "b5adb1a686c76b36a611ccb29df095cc4e1cbf4a0e2cf3a0aef902df3b6dfb2567ef7e4687772d8600c3"
     "d28f49fef265bfde4f66f2170321efa2e79c4fa27beefff2563242aa1fcc0353272e95b5430b033e32bf"
     "fe686e2ec5b691c0a5bfb25444762591c342bff0b2e0cbebfb35f9796eacad34451f3240f6a7d4d9bff8"
     "bb969fc0422b8caad2e2c825e0f60f900cf89d53aa9f4b9dc1f965bc5c9bf4673680028a76f895bbda9a"
     "d6f97ac93702d656",
     {0, 127, 128, 255, 7, 99},
     {-7.032257F, -32.400238F, -55.10692F, -4.2002563F, 0.45822144F, -128.70639F},
     -10923.428466796875,
     -1479769.5371704102},
    // Q6_K
    {14,
     "1144b34409068b31773b7ab7b2fcbf368c9876a029f5cfdb81b7c97eac03732033890e112e51f84ba8b7"
     "936938382b7ec92a474ecd3c76d939ac7191096819f7453664efc6f948b58a600207a334b43630949ebf"
     "29fc838b3203b3f159bbb9b4b5c9d5d15f2c480da847ab4b87e30cae73801aa2e5b7475ec1d394281699"
     "f696944f47167a8866ab29d918cd88f04bab514a4e101097e6855f1ef84dba45038ecb5990ae8bf0b932"
     "a5d33d09d499c47e644fb69ecfd51a2071b628ec4a3c127bec2ce2f7f1584789438a99bab5bb2bc626ae",
     {0, 127, 128, 255, 50, 78},
     {-59.56299F, 171.48376F, -135.16956F, -39.00415F, 19.886353F, -30.26184F},
     511.9534912109375,
     -29423.73193359375},
}};

}  // namespace sgpt_mi::blocks

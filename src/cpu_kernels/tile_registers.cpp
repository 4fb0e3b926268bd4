#include "tile_registers.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "sgpt_mi/cpu_kernels/bfloat16_product.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sgpt_mi::cpu_kernels {
namespace {

/// State components of tile registers, as XCR0 and the kernel number them.
constexpr unsigned kTileConfig = 17;
constexpr unsigned kTileData = 18;

/// The operand of LDTILECFG, Intel's Architectures Software Developer's Manual, volume 1, 18.3.
struct alignas(64) TileLayout {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::array<std::uint8_t, 14> reserved{};
  std::array<std::uint16_t, 16> row_bytes{64, 64, 64, 64, 64, 64, 64, 64};
  std::array<std::uint8_t, 16> rows{16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileLayout) == 64);

/// In static memory: g++'s intrinsic does not say which bytes it reads, so stores to a local one
/// might be left out.
const TileLayout kLayout;

bool processor_has_tiles() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kBfloat16 = 1U << 22;
  constexpr unsigned kTiles = 1U << 24;
  return (edx & kBfloat16) != 0 && (edx & kTiles) != 0 && __builtin_cpu_supports("avx512f");
}

/// Whether the system saves tile registers when it switches threads.
__attribute__((target("xsave"))) bool system_saves_tiles() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kOsXsave = 1U << 27;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOsXsave) == 0) return false;
  constexpr std::uint64_t kBoth = std::uint64_t{1} << kTileConfig | std::uint64_t{1} << kTileData;
  return (static_cast<std::uint64_t>(_xgetbv(0)) & kBoth) == kBoth;
}

/// Linux gives a process room for tile data on request, once and for all of its threads.
bool system_grants_tiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h, Linux 5.16
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Functions of their own, because g++ ignores the attribute of constructors.
__attribute__((target("amx-tile"))) void load_layout() { _tile_loadconfig(&kLayout); }
__attribute__((target("amx-tile"))) void release() { _tile_release(); }

/// Word r of row c becomes word c of row r, of 16 rows.
__attribute__((target("avx512f"))) inline void transpose(__m512i (&rows)[kTileSide]) {
  __m512i fours[kTileSide];  // [4 i + c]: column c, 4 + c, 8 + c, 12 + c of rows 4 i to 4 i + 3
  for (int i = 0; i < 4; ++i) {
    const __m512i* four = rows + std::ptrdiff_t{4} * i;
    __m512i* columns = fours + std::ptrdiff_t{4} * i;
    const __m512i low01 = _mm512_unpacklo_epi32(four[0], four[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(four[0], four[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(four[2], four[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(four[2], four[3]);
    columns[0] = _mm512_unpacklo_epi64(low01, low23);
    columns[1] = _mm512_unpackhi_epi64(low01, low23);
    columns[2] = _mm512_unpacklo_epi64(high01, high23);
    columns[3] = _mm512_unpackhi_epi64(high01, high23);
  }
  for (int c = 0; c < 4; ++c) {  // the 4 x 4 blocks of 128 bits
    const __m512i even01 = _mm512_shuffle_i32x4(fours[c], fours[4 + c], 0x88);
    const __m512i odd01 = _mm512_shuffle_i32x4(fours[c], fours[4 + c], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(fours[8 + c], fours[12 + c], 0x88);
    const __m512i odd23 = _mm512_shuffle_i32x4(fours[8 + c], fours[12 + c], 0xdd);
    rows[c] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    rows[4 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    rows[8 + c] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
    rows[12 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
}

}  // namespace

bool has_bfloat16_tiles() {
  static const bool has = processor_has_tiles() && system_saves_tiles() && system_grants_tiles();
  return has;
}

__attribute__((target("avx512f"))) void pack_tile(const std::uint16_t* x, std::int64_t stride,
                                                  std::uint32_t* left, std::uint32_t* right) {
  __m512i pairs[kTileSide];
  for (__m512i& pair : pairs) {
    const auto* even = reinterpret_cast<const __m256i*>(x);
    const auto* odd = reinterpret_cast<const __m256i*>(x + stride);
    pair = _mm512_or_si512(_mm512_cvtepu16_epi32(_mm256_loadu_si256(even)),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(odd)), 16));
    x += 2 * stride;
  }
  if (right != nullptr) {
    for (int i = 0; i < kTileSide; ++i) _mm512_store_si512(right + i * kTileSide, pairs[i]);
  }
  if (left == nullptr) return;
  transpose(pairs);
  for (int i = 0; i < kTileSide; ++i) _mm512_store_si512(left + i * kTileSide, pairs[i]);
}

TileRegisters::TileRegisters() { load_layout(); }

TileRegisters::~TileRegisters() { release(); }

// Registers 0 to 3 hold sums, 4 and 5 left operands, 6 and 7 right ones; the intrinsics want
// literals.
__attribute__((target("amx-tile,amx-bf16"))) void multiply_panels(const PanelOperands& panels,
                                                                  float* sums) {
  constexpr std::size_t kRowBytes = 64;
  const std::uint32_t* left = panels.left;
  const std::uint32_t* right = panels.right;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t step = 0; step < panels.steps; ++step) {
    _tile_loadd(6, right, kRowBytes);
    _tile_loadd(7, right + kTileWords, kRowBytes);
    _tile_loadd(4, left, kRowBytes);
    _tile_loadd(5, left + kTileWords, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    left += kTileStepWords;
    right += kTileStepWords;
  }
  constexpr std::size_t kSumBytes = kTilePanel * sizeof(float);
  float* lower = sums + kTileSide * kTilePanel;
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + kTileSide, kSumBytes);
  _tile_stored(2, lower, kSumBytes);
  _tile_stored(3, lower + kTileSide, kSumBytes);
}

__attribute__((target("avx512f"))) void add_sums(const float* sums, float* product,
                                                 std::int64_t stride) {
  for (std::int64_t r = 0; r < kTilePanel; ++r) {
    for (std::int64_t c = 0; c < kTilePanel; c += kTileSide) {
      const __m512 sum = _mm512_load_ps(sums + r * kTilePanel + c);
      float* place = product + r * stride + c;
      _mm512_storeu_ps(place, _mm512_add_ps(_mm512_loadu_ps(place), sum));
    }
  }
}

}  // namespace sgpt_mi::cpu_kernels

#else

namespace sgpt_mi::cpu_kernels {

bool has_bfloat16_tiles() { return false; }

// Nobody calls these without tiles.
void pack_tile(const std::uint16_t*, std::int64_t, std::uint32_t*, std::uint32_t*) {}
TileRegisters::TileRegisters() = default;
TileRegisters::~TileRegisters() = default;
void multiply_panels(const PanelOperands&, float*) {}
void add_sums(const float*, float*, std::int64_t) {}

}  // namespace sgpt_mi::cpu_kernels

#endif

#include "attention_tile.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "exp2.h"

// The tile is written once, on vectors of a given size, and compiled for several instruction sets:
// the number of rows is the number of accumulators that the set's registers hold. Everything is
// inlined into one function per set, because only that function may use its instructions.
#define SGPT_MI_INLINE __attribute__((always_inline)) inline

namespace sgpt_mi::cpu_kernels {
namespace {

/// Bytes of one vector register and rows of a tile.
template <int bytes, int rows>
struct Shape {
  typedef float Float __attribute__((vector_size(bytes)));
  typedef std::int32_t Int __attribute__((vector_size(bytes)));
  static constexpr int kRows = rows;
  static constexpr int kLanes = bytes / 4;
  static constexpr int kParts = static_cast<int>(kAttentionPanel) / kLanes;
  static constexpr int kPanel = static_cast<int>(kAttentionPanel);
  static constexpr int kScores = rows * kPanel;  ///< of one panel of keys
};

template <typename To, typename From>
SGPT_MI_INLINE void load(const From* from, To& to) {
  std::memcpy(&to, from, sizeof to);
}

template <typename From>
SGPT_MI_INLINE void store(const From& from, float* to) {
  std::memcpy(to, &from, sizeof from);
}

/// 2^x for x <= 0 within 2 units in the last place, 0 below -100, NaN for NaN: 2^n 2^f, x = n + f.
template <typename S>
SGPT_MI_INLINE void exp2(typename S::Float& x) {
  using Float = typename S::Float;
  using Int = typename S::Int;
  const Float shifted = x + kRoundAndBias;
  const Float f = x - (shifted - kRoundAndBias);
  Float p;
  exp2_fraction(f, p);
  Int bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  Float power;
  std::memcpy(&power, &bits, sizeof power);
  const Float zero{};
  x = x < -100.0F ? zero : p * power;
}

/// Scores of one panel of keys: the products of kRows queries with 16 keys.
template <typename S>
SGPT_MI_INLINE void score_panel(const float* query, const float* key, std::int64_t head_dim,
                                float* scores) {
  using Float = typename S::Float;
  Float sums[S::kRows][S::kParts] = {};
  for (std::int64_t d = 0; d < head_dim; ++d) {
    Float keys[S::kParts];
    for (int p = 0; p < S::kParts; ++p) load(key + d * S::kPanel + p * S::kLanes, keys[p]);
    for (int r = 0; r < S::kRows; ++r) {
      for (int p = 0; p < S::kParts; ++p) sums[r][p] += query[d * S::kRows + r] * keys[p];
    }
  }
  for (int r = 0; r < S::kRows; ++r) {
    for (int p = 0; p < S::kParts; ++p) {
      store(sums[r][p], scores + r * S::kPanel + p * S::kLanes);
    }
  }
}

/// 16 elements of the outputs: the values weighted by `weights`, row r divided by total[r].
template <typename S>
SGPT_MI_INLINE void output_panel(const float* weights, const float* value, std::int64_t panels,
                                 const float* total, float* output, std::int64_t stride) {
  using Float = typename S::Float;
  Float sums[S::kRows][S::kParts] = {};
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    for (int k = 0; k < S::kPanel; ++k) {
      Float values[S::kParts];
      for (int p = 0; p < S::kParts; ++p) load(value + p * S::kLanes, values[p]);
      for (int r = 0; r < S::kRows; ++r) {
        for (int p = 0; p < S::kParts; ++p) sums[r][p] += weights[r * S::kPanel + k] * values[p];
      }
      value += S::kPanel;
    }
    weights += S::kScores;
  }
  for (int r = 0; r < S::kRows; ++r) {
    for (int p = 0; p < S::kParts; ++p) {
      store(sums[r][p] / total[r], output + r * stride + p * S::kLanes);
    }
  }
}

/// Turns one row of scores into weights 2^(score - largest) and returns their sum. Scores lie in
/// panels kScores apart.
template <typename S>
SGPT_MI_INLINE float weigh_row(float* scores, std::int64_t panels) {
  using Float = typename S::Float;
  Float most[S::kParts];
  for (int p = 0; p < S::kParts; ++p) load(scores + p * S::kLanes, most[p]);
  for (std::int64_t panel = 1; panel < panels; ++panel) {
    for (int p = 0; p < S::kParts; ++p) {
      Float score;
      load(scores + panel * S::kScores + p * S::kLanes, score);
      most[p] = score > most[p] ? score : most[p];
    }
  }
  float largest = -std::numeric_limits<float>::infinity();
  for (const Float& part : most) {
    for (int lane = 0; lane < S::kLanes; ++lane) {
      largest = part[lane] > largest ? part[lane] : largest;
    }
  }
  Float sums[S::kParts] = {};
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    for (int p = 0; p < S::kParts; ++p) {
      float* place = scores + panel * S::kScores + p * S::kLanes;
      Float weight;
      load(place, weight);
      weight -= largest;
      exp2<S>(weight);
      sums[p] += weight;
      store(weight, place);
    }
  }
  float total = 0.0F;
  for (const Float& part : sums) {
    for (int lane = 0; lane < S::kLanes; ++lane) total += part[lane];
  }
  return total;
}

/// Scores of the keys before `first` and after `last` become -infinity; both are counted from the
/// tile's first panel, and only the `panels` panels are touched.
template <typename S>
SGPT_MI_INLINE void mask_row(float* scores, std::int64_t first, std::int64_t last,
                             std::int64_t panels) {
  const auto at = [scores](std::int64_t key) -> float& {
    return scores[key / S::kPanel * S::kScores + key % S::kPanel];
  };
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (std::int64_t key = 0; key < first; ++key) at(key) = kNever;
  for (std::int64_t key = last + 1; key < panels * S::kPanel; ++key) at(key) = kNever;
}

template <typename S>
SGPT_MI_INLINE void attend_tile(const AttentionTile& tile) {
  const std::int64_t last_query = std::min(tile.first_query + S::kRows, tile.tokens) - 1;
  const auto first_key = [&tile](std::int64_t query) {
    return std::max<std::int64_t>(query - tile.window + 1, 0);
  };
  const std::int64_t first_panel = first_key(tile.first_query) / S::kPanel;
  const std::int64_t panels = last_query / S::kPanel + 1 - first_panel;
  const float* keys = tile.keys + first_panel * S::kPanel * tile.head_dim;
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    score_panel<S>(tile.queries, keys + panel * S::kPanel * tile.head_dim, tile.head_dim,
                   tile.scores + panel * S::kScores);
  }
  float total[S::kRows];
  const std::int64_t origin = first_panel * S::kPanel;
  for (int r = 0; r < S::kRows; ++r) {
    const std::int64_t query = std::min(tile.first_query + r, last_query);
    float* row = tile.scores + r * S::kPanel;
    mask_row<S>(row, first_key(query) - origin, query - origin, panels);
    total[r] = weigh_row<S>(row, panels);
  }
  for (std::int64_t d = 0; d < tile.padded_dim; d += S::kPanel) {
    output_panel<S>(tile.scores, tile.values + d * tile.padded_tokens + origin * S::kPanel, panels,
                    total, tile.output + d, tile.padded_dim);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void attend_avx512(const AttentionTile& tile) {
  attend_tile<Shape<64, 12>>(tile);
}

__attribute__((target("avx2,fma"))) void attend_avx2(const AttentionTile& tile) {
  attend_tile<Shape<32, 6>>(tile);
}
#endif

void attend_default(const AttentionTile& tile) { attend_tile<Shape<16, 2>>(tile); }

}  // namespace

std::vector<AttentionKernel> attention_kernels() {
  std::vector<AttentionKernel> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) kernels.push_back({12, attend_avx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back({6, attend_avx2});
  }
#endif
  kernels.push_back({2, attend_default});
  return kernels;
}

}  // namespace sgpt_mi::cpu_kernels

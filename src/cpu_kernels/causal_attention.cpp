#include "sgpt_mi/cpu_kernels/causal_attention.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "attention_tile.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cpu_kernels {
namespace {

constexpr std::int64_t kPanel = kAttentionPanel;

std::int64_t round_up(std::int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

/// Floats that start on a cache line, zero at first.
class AlignedFloats {
 public:
  explicit AlignedFloats(std::int64_t count)
      : lines_(static_cast<std::size_t>(round_up(count) / kPanel)) {}
  [[nodiscard]] float* data() { return lines_.data()->floats.data(); }

 private:
  struct alignas(64) Line {
    std::array<float, kPanel> floats{};
  };
  std::vector<Line> lines_;
};

/// Asks for the row of `count` floats a few rows ahead: rows of one head lie far apart, and the
/// processor does not foresee them (measured: packing then costs a quarter of the whole).
void prefetch_row(const float* row, std::int64_t stride, std::int64_t count) {
  constexpr std::int64_t kRowsAhead = 16;
  for (std::int64_t d = 0; d < count; d += kPanel) {
    __builtin_prefetch(row + kRowsAhead * stride + d);
  }
}

/// The memory of one thread, and the tiles it works on in turn.
class Worker {
 public:
  Worker(const CausalAttention& attention, const AttentionKernel& kernel);

  /// Tile `tile` of query head `head`.
  void run(std::int64_t sequence, std::int64_t head, std::int64_t tile);

 private:
  void pack(std::int64_t sequence, std::int64_t head, std::int64_t kv_head);
  void pack_keys(const float* from);
  void pack_values(const float* from);
  void pack_queries(const float* from);
  void write(float* to, std::int64_t rows);

  const CausalAttention& attention_;
  const AttentionKernel& kernel_;
  std::int64_t padded_dim_;
  std::int64_t padded_tokens_;
  std::int64_t packed_queries_ = -1;  ///< (sequence, head) whose queries are packed
  std::int64_t packed_keys_ = -1;     ///< (sequence, kv head) whose keys and values are packed
  AlignedFloats queries_;
  AlignedFloats keys_;
  AlignedFloats values_;
  AlignedFloats scores_;
  AlignedFloats output_;
};

Worker::Worker(const CausalAttention& attention, const AttentionKernel& kernel)
    : attention_(attention),
      kernel_(kernel),
      padded_dim_(round_up(attention.head_dim)),
      padded_tokens_(round_up(attention.tokens)),
      queries_((attention.tokens + kernel.rows) * attention.head_dim),
      keys_(padded_tokens_ * attention.head_dim),
      values_(padded_tokens_ * padded_dim_),
      scores_(padded_tokens_ * kernel.rows),
      output_(kernel.rows * padded_dim_) {}

void Worker::run(std::int64_t sequence, std::int64_t head, std::int64_t tile) {
  const std::int64_t kv_head = head * attention_.kv_heads / attention_.heads;
  pack(sequence, head, kv_head);
  const std::int64_t first = tile * kernel_.rows;
  const std::int64_t tokens = attention_.tokens;
  const std::int64_t window = attention_.window == 0 ? tokens : std::min(attention_.window, tokens);
  kernel_.attend({queries_.data() + first * attention_.head_dim, keys_.data(), values_.data(),
                  scores_.data(), output_.data(), attention_.head_dim, padded_dim_, padded_tokens_,
                  first, tokens, window});
  write(attention_.output.head(sequence, head) + first * attention_.output.token_stride,
        std::min(kernel_.rows, tokens - first));
}

/// Packs what the tile before did not use as well.
void Worker::pack(std::int64_t sequence, std::int64_t head, std::int64_t kv_head) {
  const std::int64_t queries = sequence * attention_.heads + head;
  const std::int64_t keys = sequence * attention_.kv_heads + kv_head;
  if (queries != packed_queries_) pack_queries(attention_.query.head(sequence, head));
  packed_queries_ = queries;
  if (keys == packed_keys_) return;
  pack_keys(attention_.key.head(sequence, kv_head));
  pack_values(attention_.value.head(sequence, kv_head));
  packed_keys_ = keys;
}

void Worker::pack_keys(const float* from) {
  const std::int64_t dim = attention_.head_dim;
  for (std::int64_t t = 0; t < attention_.tokens; ++t) {
    const float* key = from + t * attention_.key.token_stride;
    float* to = keys_.data() + t / kPanel * kPanel * dim + t % kPanel;
    prefetch_row(key, attention_.key.token_stride, dim);
    for (std::int64_t d = 0; d < dim; ++d) to[d * kPanel] = key[d];
  }
}

void Worker::pack_values(const float* from) {
  for (std::int64_t d = 0; d < attention_.head_dim; d += kPanel) {
    const std::int64_t width = std::min(kPanel, attention_.head_dim - d);
    float* to = values_.data() + d * padded_tokens_;
    for (std::int64_t t = 0; t < attention_.tokens; ++t) {
      const float* value = from + t * attention_.value.token_stride + d;
      prefetch_row(value, attention_.value.token_stride, width);
      if (width == kPanel) {
        std::copy_n(value, kPanel, to + t * kPanel);  // a known size: one or two instructions
      } else {
        std::copy_n(value, width, to + t * kPanel);
      }
    }
  }
}

void Worker::pack_queries(const float* from) {
  constexpr float kLog2OfE = 1.44269504F;
  const float scale = attention_.scale * kLog2OfE;
  const std::int64_t dim = attention_.head_dim;
  const std::int64_t rows = kernel_.rows;
  for (std::int64_t t = 0; t < attention_.tokens; ++t) {
    const float* query = from + t * attention_.query.token_stride;
    float* to = queries_.data() + t / rows * rows * dim + t % rows;
    prefetch_row(query, attention_.query.token_stride, dim);
    for (std::int64_t d = 0; d < dim; ++d) to[d * rows] = query[d] * scale;
  }
}

void Worker::write(float* to, std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::copy_n(output_.data() + r * padded_dim_, attention_.head_dim,
                to + r * attention_.output.token_stride);
  }
}

void check(const CausalAttention& attention) {
  ensure(attention.query.data != nullptr && attention.key.data != nullptr &&
             attention.value.data != nullptr && attention.output.data != nullptr,
         "causal_attention: a tensor is missing");
  ensure(
      attention.head_dim > 0 && attention.kv_heads > 0 && attention.heads % attention.kv_heads == 0,
      "causal_attention: the key heads do not divide the query heads");
  ensure(attention.window >= 0, "causal_attention: the window is negative");
}

}  // namespace

void causal_attention(const CausalAttention& attention, const kernels::Backend& backend) {
  ensure(!backend.cuda, "causal_attention: there is no CUDA twin; LibTorch's attention is it");
  if (attention.sequences == 0 || attention.tokens == 0 || attention.heads == 0) return;
  check(attention);
  static const AttentionKernel kernel = attention_kernels().front();
  const std::int64_t tiles = (attention.tokens + kernel.rows - 1) / kernel.rows;
  const std::int64_t count = attention.sequences * attention.heads * tiles;
  backend.parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    Worker worker(attention, kernel);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t head = i / tiles;
      // Later tiles see more keys: taken in turn from both ends, any range of them costs the same.
      const std::int64_t turn = i % tiles;
      const std::int64_t tile = turn % 2 == 0 ? turn / 2 : tiles - 1 - turn / 2;
      worker.run(head / attention.heads, head % attention.heads, tile);
    }
  });
}

}  // namespace sgpt_mi::cpu_kernels

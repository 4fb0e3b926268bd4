#include "packed_mask.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "packed_columns.h"
#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::packing {
namespace {

/// Tuples translated at a time: a multiple of 8, so that every piece begins at a whole byte.
constexpr std::int64_t kPiece = 4096;

/// Entry of codes that mean nothing. No rank (at most C(8, 4) = 70 of them) and no pattern with a
/// zero among its m <= 8 bits has this value.
constexpr std::uint8_t kNone = 0xff;

using Table = std::array<std::uint8_t, 256>;

/// The pattern of each rank, and the rank of each pattern.
struct RankTables {
  Table pattern;
  Table rank;
};

RankTables rank_tables(int prune_n, int prune_m) {
  RankTables tables;
  tables.pattern.fill(kNone);
  tables.rank.fill(kNone);
  std::uint8_t next = 0;
  for (unsigned pattern = 0; pattern < 1U << prune_m; ++pattern) {
    if (std::popcount(pattern) != prune_m - prune_n) continue;
    tables.pattern[next] = static_cast<std::uint8_t>(pattern);
    tables.rank[pattern] = next++;
  }
  return tables;
}

/// A bit stream and the width of its codes.
template <typename Byte>
struct Stream {
  Byte* bytes;
  int width;
};

/// Writes table[code] of codes first .. first + count - 1 to the same places of another stream;
/// `first` is a multiple of kPiece. Returns whether all codes mean something.
bool translate(Stream<const std::uint8_t> from, std::int64_t first, std::int64_t count,
               const Table& table, Stream<std::uint8_t> to) {
  std::array<std::uint8_t, kPiece> codes;
  bool all_known = true;
  for (std::int64_t at = first; at < first + count; at += kPiece) {
    const std::int64_t piece = std::min(kPiece, first + count - at);
    kernels::unpack_bits(from.bytes, at, piece, from.width, codes.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(piece); ++i) {
      const std::uint8_t meaning = table[codes[i]];
      all_known = all_known && meaning != kNone;
      codes[i] = meaning == kNone ? std::uint8_t{0} : meaning;
    }
    kernels::pack_bits(codes.data(), piece, to.width, to.bytes + at / 8 * to.width);
  }
  return all_known;
}

const std::uint8_t* stream_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

std::uint8_t* stream_of(std::vector<std::byte>& bytes) {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

std::vector<std::byte> bytes_for(std::int64_t count, int width) {
  return std::vector<std::byte>(static_cast<std::size_t>(kernels::packed_bytes(count, width)));
}

}  // namespace

std::vector<std::byte> pack_bitmask(std::span<const std::uint8_t> pruned) {
  const auto weights = static_cast<std::int64_t>(pruned.size());
  std::vector<std::byte> bits = bytes_for(weights, 1);
  std::array<std::uint8_t, kPiece> kept;
  for (std::int64_t at = 0; at < weights; at += kPiece) {
    const std::int64_t piece = std::min(kPiece, weights - at);
    const std::uint8_t* flags = pruned.data() + at;
    std::transform(flags, flags + piece, kept.begin(),
                   [](std::uint8_t flag) { return static_cast<std::uint8_t>(flag ^ 1U); });
    kernels::pack_bits(kept.data(), piece, 1, stream_of(bits) + at / 8);
  }
  return bits;
}

std::vector<std::byte> pack_ranks(std::span<const std::byte> bitmask, std::int64_t weights,
                                  int prune_n, int prune_m) {
  const std::int64_t tuples = weights / prune_m;
  const int width = rank_bits(prune_n, prune_m);
  std::vector<std::byte> ranks = bytes_for(tuples, width);
  const bool regular = translate({stream_of(bitmask), prune_m}, 0, tuples,
                                 rank_tables(prune_n, prune_m).rank, {stream_of(ranks), width});
  ensure(regular, "io: a mask breaks the N:M pattern that was stated with it");
  return ranks;
}

std::vector<std::uint8_t> patterns_of_ranks(int prune_n, int prune_m) {
  const Table patterns = rank_tables(prune_n, prune_m).pattern;
  return {patterns.begin(), patterns.begin() + (1 << rank_bits(prune_n, prune_m))};
}

KeptBits::KeptBits(const PackedParts& parts, const PackedRecord& record,
                   const ParallelFor& parallel_for) {
  bits_ = parts.at(PackedPartKind::kMask)->bytes;
  if (record.layout == PackedLayout::kBitmask) {
    check_padding(parts, PackedPartKind::kMask, record.weights());
    return;
  }
  const std::int64_t tuples = record.weights() / record.prune_m;
  const int width = rank_bits(record.prune_n, record.prune_m);
  check_padding(parts, PackedPartKind::kMask, tuples * width);
  made_ = bytes_for(tuples, record.prune_m);
  const Table patterns = rank_tables(record.prune_n, record.prune_m).pattern;
  std::atomic<bool> all_known = true;
  parallel_for((tuples + kPiece - 1) / kPiece, 16, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * kPiece;
    const std::int64_t count = std::min(end * kPiece, tuples) - first;
    const bool known = translate({stream_of(bits_), width}, first, count, patterns,
                                 {stream_of(made_), record.prune_m});
    if (!known) all_known = false;
  });
  if (!all_known) {
    refuse_packed(parts, "part {}.mask has a rank of no {}:{} pattern; the file is damaged",
                  parts.name, record.prune_n, record.prune_m);
  }
  bits_ = made_;
}

}  // namespace sgpt_mi::packing

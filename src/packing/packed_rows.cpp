#include "packed_rows.h"

#include <numeric>
#include <utility>

#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::packing {

PackedRows::PackedRows(const PackedParts& parts, const PackedRecord& record, StreamOrder order,
                       const ParallelFor& parallel_for)
    : rows_(record.rows), columns_(record.columns), order_(std::move(order)) {
  if (!record.masked()) return;
  kept_.emplace(parts, record, parallel_for);
  const std::size_t runs = order_.runs.size();
  starts_.resize((static_cast<std::size_t>(rows_) + 1) * runs);
  parallel_for(rows_, 16, [&](std::int64_t begin, std::int64_t end) { count_rows(begin, end); });
  for (std::size_t i = runs; i < starts_.size(); ++i) starts_[i] += starts_[i - runs];
  const std::int64_t kept = std::accumulate(starts_.end() - static_cast<std::ptrdiff_t>(runs),
                                            starts_.end(), std::int64_t{0});
  if (kept != record.stored) {
    refuse_packed(parts,
                  "part {}.mask keeps {} weights, but the record says {}; the file is damaged",
                  parts.name, kept, record.stored);
  }
}

/// Writes the counts of each row into the place of the next row's starts.
void PackedRows::count_rows(std::int64_t begin, std::int64_t end) {
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(columns_));
  const std::size_t runs = order_.runs.size();
  for (std::int64_t row = begin; row < end; ++row) {
    std::int64_t* counts = starts_.data() + static_cast<std::size_t>(row + 1) * runs;
    if (runs == 1) {
      counts[0] = kernels::count_bits(kept_->data(), row * columns_, columns_);
      continue;
    }
    load_kept(row, kept.data());
    for (std::size_t run = 0; run < runs; ++run) {
      std::int64_t count = 0;
      for (std::int64_t i = order_.runs[run].begin; i < order_.runs[run].end; ++i) {
        count += kept[static_cast<std::size_t>(order_.column[static_cast<std::size_t>(i)])];
      }
      counts[run] = count;
    }
  }
}

void PackedRows::load_kept(std::int64_t row, std::uint8_t* kept) const {
  kernels::unpack_bits(kept_->data(), row * columns_, columns_, 1, kept);
}

PackedCodes::PackedCodes(const PackedParts& parts, PackedPartKind kind, const PackedRows& rows,
                         std::int64_t row_count)
    : rows_(rows), row_count_(row_count) {
  const std::optional<containers::TensorData>& part = parts.at(kind);
  const std::span<const std::byte> bytes = part ? part->bytes : std::span<const std::byte>{};
  const std::vector<WidthRun>& runs = rows.order().runs;
  std::vector<std::int64_t> begins{0};
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const std::int64_t codes = rows.first(row_count, run);
    begins.push_back(begins.back() + kernels::packed_bytes(codes, runs[run].width));
  }
  if (begins.back() != static_cast<std::int64_t>(bytes.size())) {
    refuse_packed(parts, "part {}{} has {} bytes; its widths demand {}", parts.name,
                  packed_suffix(kind), bytes.size(), begins.back());
  }
  for (std::size_t run = 0; run < runs.size(); ++run) {
    streams_.push_back(reinterpret_cast<const std::uint8_t*>(bytes.data()) + begins[run]);
    const std::int64_t bits = rows.first(row_count, run) * runs[run].width;
    check_padding(parts, kind, begins[run] * 8 + bits);
  }
}

std::span<const std::byte> PackedCodes::stream(std::size_t run) const {
  const std::int64_t codes = rows_.first(row_count_, run);
  const std::int64_t bytes = kernels::packed_bytes(codes, rows_.order().runs[run].width);
  return {reinterpret_cast<const std::byte*>(streams_[run]), static_cast<std::size_t>(bytes)};
}

void PackedCodes::read_row(std::int64_t row, Scratch& scratch, std::uint8_t* codes) const {
  const StreamOrder& order = rows_.order();
  const bool natural = order.runs.size() == 1;
  if (rows_.masked()) rows_.load_kept(row, scratch.kept.data());
  for (std::size_t run = 0; run < order.runs.size(); ++run) {
    const std::int64_t first = rows_.first(row, run);
    const std::int64_t count = rows_.first(row + 1, run) - first;
    const bool direct = natural && !rows_.masked();
    std::uint8_t* taken = direct ? codes : scratch.taken.data();
    kernels::unpack_bits(streams_[run], first, count, order.runs[run].width, taken);
    if (direct) return;
    const std::uint8_t* kept = scratch.kept.data();
    if (natural) {
      for (std::size_t j = 0; j < order.column.size(); ++j) {
        codes[j] = *taken;
        taken += kept[j];
      }
      return;
    }
    for (std::int64_t i = order.runs[run].begin; i < order.runs[run].end; ++i) {
      const auto j = static_cast<std::size_t>(order.column[static_cast<std::size_t>(i)]);
      codes[j] = *taken;
      taken += rows_.masked() ? kept[j] : std::uint8_t{1};
    }
  }
}

}  // namespace sgpt_mi::packing

#include "sgpt_mi/packing/packed_streams.h"

#include <utility>

#include "packed_columns.h"
#include "packed_grids.h"
#include "packed_mask.h"
#include "packed_record.h"
#include "packed_rows.h"
#include "unpack_levels.h"

namespace sgpt_mi::packing {
namespace {

PackedCodeStream stream_of_run(const PackedRows& rows, std::size_t run, std::int64_t row_count) {
  const WidthRun& columns = rows.order().runs[run];
  PackedCodeStream stream;
  stream.width = columns.width;
  stream.columns = columns.columns();
  if (!rows.order().column.empty()) {
    stream.column.assign(rows.order().column.begin() + columns.begin,
                         rows.order().column.begin() + columns.end);
  }
  stream.first.resize(static_cast<std::size_t>(row_count));
  for (std::int64_t row = 0; row < row_count; ++row) {
    stream.first[static_cast<std::size_t>(row)] = rows.first(row, run);
  }
  return stream;
}

void add_mask(const PackedParts& parts, const PackedRecord& record, PackedStreams& streams) {
  streams.mask = parts.at(PackedPartKind::kMask)->bytes;
  streams.pattern = {0, 1};
  if (record.layout == PackedLayout::kBitmask) return;
  streams.mask_width = rank_bits(record.prune_n, record.prune_m);
  streams.mask_size = record.prune_m;
  streams.pattern = patterns_of_ranks(record.prune_n, record.prune_m);
}

void add_codes(const PackedParts& parts, const PackedRecord& record,
               const ParallelFor& parallel_for, PackedStreams& streams) {
  ColumnGroups groups = read_column_groups(parts, record);
  const PackedRows rows(parts, record,
                        stream_order(column_widths(groups.group_of_column, groups.bits_of_group)),
                        parallel_for);
  const PackedCodes codes(parts, PackedPartKind::kCodes, rows, record.rows);
  for (std::size_t run = 0; run < rows.order().runs.size(); ++run) {
    streams.codes.push_back(stream_of_run(rows, run, record.rows));
    streams.codes.back().bits = codes.stream(run);
  }
  streams.grid_rows = record.grid_rows;
  streams.groups = record.groups;
  streams.group_of_column = groups.group_of_column;
  const PackedGrids grids(parts, record, std::move(groups));
  streams.scale = grids.scales();
  streams.zero = grids.zeros();
}

void add_values(const PackedParts& parts, const PackedRecord& record,
                const ParallelFor& parallel_for, PackedStreams& streams) {
  const PackedRows rows(parts, record, natural_order(record.columns), parallel_for);
  streams.codes.push_back(stream_of_run(rows, 0, record.rows));
  streams.codes.back().width = static_cast<int>(8 * dtype_size(record.dtype));
  const std::optional<containers::TensorData>& part = parts.at(PackedPartKind::kValues);
  if (part) streams.codes.back().bits = part->bytes;
}

}  // namespace

PackedContents read_packed_contents(const PackedParts& parts, const ParallelFor& parallel_for) {
  const PackedRecord record = checked_record(parts, parallel_for);
  if (record.coded()) return packed_levels(parts, record);
  PackedStreams streams;
  streams.rows = record.rows;
  streams.columns = record.columns;
  streams.dtype = record.dtype;
  if (record.masked()) add_mask(parts, record, streams);
  record.quantized() ? add_codes(parts, record, parallel_for, streams)
                     : add_values(parts, record, parallel_for, streams);
  return streams;
}

}  // namespace sgpt_mi::packing

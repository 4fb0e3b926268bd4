#include "level_model.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sgpt_mi::entropy {
namespace {

constexpr std::int64_t kChunkLevels = std::int64_t{1} << 16;

std::int64_t rounded_chunks(std::int64_t levels) {
  return (levels + kChunkLevels / 2) / kChunkLevels;
}

std::int64_t divided_up(std::int64_t count, std::int64_t parts) {
  return (count + parts - 1) / parts;
}

}  // namespace

kernels::LevelStreams chunks_of(std::int64_t rows, std::int64_t columns) {
  kernels::LevelStreams streams;
  streams.rows = rows;
  streams.columns = columns;
  const std::int64_t parts = rounded_chunks(columns);
  streams.chunk_rows =
      parts > 1 ? 1 : divided_up(rows, std::max<std::int64_t>(1, rounded_chunks(rows * columns)));
  streams.chunk_places = parts > 1 ? divided_up(columns, parts) : columns;
  return streams;
}

ArrangedModel::ArrangedModel(LevelModel model, std::int64_t rows, std::int64_t columns)
    : model_(std::move(model)), streams_(chunks_of(rows, columns)) {
  const std::vector<std::uint8_t>& labels = model_.column_label;
  streams_.row_label = model_.row_label.data();
  streams_.base = model_.base;
  streams_.tables = static_cast<int>(model_.tables.size());
  if (std::is_sorted(labels.begin(), labels.end())) {
    streams_.place_label = labels.data();
    return;
  }
  column_of_place_.resize(labels.size());
  std::iota(column_of_place_.begin(), column_of_place_.end(), 0);
  std::stable_sort(
      column_of_place_.begin(), column_of_place_.end(), [&](std::int32_t a, std::int32_t b) {
        return labels[static_cast<std::size_t>(a)] < labels[static_cast<std::size_t>(b)];
      });
  for (const std::int32_t column : column_of_place_) {
    place_label_.push_back(labels[static_cast<std::size_t>(column)]);
  }
  streams_.column_of_place = column_of_place_.data();
  streams_.place_label = place_label_.data();
}

}  // namespace sgpt_mi::entropy

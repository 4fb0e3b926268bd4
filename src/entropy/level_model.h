#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "frequency_table.h"
#include "level_labels.h"
#include "sgpt_mi/kernels/decode_levels.h"

namespace sgpt_mi::entropy {

inline constexpr int kMostBase = 2 * (kLabels - 1);
inline constexpr std::size_t kHeaderBytes = 4;
/// Of a chunk in `tables`: its checksum and the words of its lanes.
inline constexpr std::size_t kChunkBytes = 4 + 2 * kernels::kLevelLanes;
inline constexpr std::int64_t kStateBytes = 4;

/// Which table each level of a matrix has, and the tables.
struct LevelModel {
  std::vector<std::uint8_t> row_label;     ///< (rows)
  std::vector<std::uint8_t> column_label;  ///< (columns)
  int base = 0;
  std::vector<FrequencyTable> tables;
};

/// The model with fewest bytes, those of the levels included, among a few.
[[nodiscard]] LevelModel choose_model(std::span<const std::int16_t> levels, std::int64_t rows,
                                      std::int64_t columns);

/// A model with its columns sorted and its chunks cut, as the kernel takes them.
class ArrangedModel {
 public:
  ArrangedModel(LevelModel model, std::int64_t rows, std::int64_t columns);
  ArrangedModel(const ArrangedModel&) = delete;
  ArrangedModel& operator=(const ArrangedModel&) = delete;

  [[nodiscard]] const LevelModel& model() const { return model_; }
  /// Without lanes, slots and a place for the result.
  [[nodiscard]] const kernels::LevelStreams& streams() const { return streams_; }

 private:
  LevelModel model_;
  std::vector<std::int32_t> column_of_place_;
  std::vector<std::uint8_t> place_label_;
  kernels::LevelStreams streams_;
};

/// The chunks of a matrix: sets sides and chunk sides, nothing else.
[[nodiscard]] kernels::LevelStreams chunks_of(std::int64_t rows, std::int64_t columns);

}  // namespace sgpt_mi::entropy

#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/obs/curves.h"

namespace sgpt_mi::planning {

/// Damage of pruning a linear to some share. Damages are expected losses: with Fisher sensitivity
/// nats a token, which add up over the linears; with energy shares of the output's energy.
struct PrunePoint {
  double sparsity = 0.0;
  double damage = 0.0;
};

/// Damage that codes add to a linear, by width and unit, at one sparsity and with one grid.
struct CodingCurve {
  double sparsity = 0.0;          ///< of the mask that it was measured with
  std::int64_t grid_columns = 0;  ///< columns that share a grid, by diag H; 0: those of a unit
  std::vector<int> widths;        ///< ascending
  std::vector<std::vector<double>> damage;  ///< per width, per unit (one with grid_columns > 0)
};

/// Damage of rounding a linear to blocks of a type.
struct TypePoint {
  std::string type;  ///< blocks::BlockType::name
  double damage = 0.0;
};

/// What levels of several steps take and do in a linear, at one sparsity.
struct LevelCurve {
  double sparsity = 0.0;                ///< of the mask that it was measured with
  std::vector<obs::LevelPoint> points;  ///< ascending steps
};

/// What planning knows of one linear.
struct LinearCurves {
  std::string name;
  std::int64_t layer = 0;
  bool attention = false;  ///< a linear of the attention, else of the MLP
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::int32_t> unit_of_column;  ///< N labels, 0 .. units - 1
  std::int64_t units = 1;                    ///< groups of columns with a width each
  std::vector<PrunePoint> pruning;           ///< ascending sparsity; empty: not measured
  std::vector<CodingCurve> coding;           ///< empty: not measured
  std::vector<TypePoint> types;              ///< empty: not measured
  std::vector<LevelCurve> levels;            ///< empty: not measured
  std::vector<double> row_weight;            ///< obs::CompressOptions::row_weight (rows)

  [[nodiscard]] std::int64_t weights() const { return rows * columns; }
  /// Log-linear between the measured sparsities and beyond the last two, quadratic from 0 at 0 to
  /// the first; the pattern's damage where there is one.
  [[nodiscard]] double prune_damage(double sparsity) const;
  /// Linear in the sparsity between the measured masks, constant beyond them. Throws
  /// Error(kInternal) for a width, unit or grid that was not measured.
  [[nodiscard]] double coding_damage(double sparsity, std::int64_t grid_columns, int width,
                                     std::size_t unit) const;
};

/// What a measuring pass over the dense model found.
struct Measurements {
  /// What it depends on: model and text hashes, measured windows, damping, units, sensitivity.
  nlohmann::json key = nlohmann::json::object();
  std::vector<LinearCurves> linears;  ///< in processing order
  std::vector<LinearCurves> ends;     ///< embedding and head, where levels of them are planned
};

[[nodiscard]] nlohmann::json to_json(const Measurements& measurements);

/// Puts the types of a matrix in the order of their names, in which files have them too.
void sort_types(LinearCurves& curves);

/// What to_json() made. Throws Error(kInput) naming `from` and what is missing or out of range.
[[nodiscard]] Measurements measurements_of(const nlohmann::json& value, const std::string& from);

/// Of a file. Throws as measurements_of().
[[nodiscard]] Measurements read_measurements(const std::filesystem::path& path);

/// Replaces the file at once or not at all.
void write_measurements(const Measurements& measurements, const std::filesystem::path& path);

}  // namespace sgpt_mi::planning

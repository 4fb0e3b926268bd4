#include "sgpt_mi/planning/measurements.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::planning {
namespace {

using nlohmann::json;

constexpr int kVersion = 2;
constexpr double kLeastDamage = 1e-300;  // its logarithm is finite

/// y at x on the line through two points.
double on_line(double x0, double y0, double x1, double y1, double x) {
  return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
}

double log_damage(const PrunePoint& point) {
  return std::log(std::max(point.damage, kLeastDamage));
}

json to_json(const LinearCurves& linear) {
  json pruning = json::array();
  for (const PrunePoint& point : linear.pruning) {
    pruning.push_back({{"sparsity", point.sparsity}, {"damage", point.damage}});
  }
  json coding = json::array();
  for (const CodingCurve& curve : linear.coding) {
    coding.push_back({{"sparsity", curve.sparsity},
                      {"grid_columns", curve.grid_columns},
                      {"widths", curve.widths},
                      {"damage", curve.damage}});
  }
  json levels = json::array();
  for (const LevelCurve& curve : linear.levels) {
    json points = json::array();
    for (const obs::LevelPoint& point : curve.points) {
      points.push_back({point.step, point.bits, point.damage});
    }
    levels.push_back({{"sparsity", curve.sparsity}, {"points", std::move(points)}});
  }
  json types = json::object();
  for (const TypePoint& point : linear.types) types[point.type] = point.damage;
  return {{"name", linear.name},           {"layer", linear.layer},
          {"attention", linear.attention}, {"rows", linear.rows},
          {"columns", linear.columns},     {"unit_of_column", linear.unit_of_column},
          {"units", linear.units},         {"pruning", std::move(pruning)},
          {"coding", std::move(coding)},   {"types", std::move(types)},
          {"levels", std::move(levels)},   {"row_weight", linear.row_weight}};
}

void require(bool holds, const std::string& file, const char* what) {
  if (holds) return;
  fail(ErrorKind::kInput, "measurements: {}: {}; delete the file to measure again", file, what);
}

/// A measured number of a file: finite and not negative.
double damage_of(const json& value, const std::string& file) {
  const auto damage = value.get<double>();
  require(damage >= 0.0 && std::isfinite(damage), file, "a damage is negative or not finite");
  return damage;
}

CodingCurve coding_of(const json& value, std::int64_t units, const std::string& file) {
  CodingCurve curve;
  curve.sparsity = value.at("sparsity").get<double>();
  curve.grid_columns = value.at("grid_columns").get<std::int64_t>();
  curve.widths = value.at("widths").get<std::vector<int>>();
  for (const json& width : value.at("damage")) {
    std::vector<double>& row = curve.damage.emplace_back();
    for (const json& damage : width) row.push_back(damage_of(damage, file));
    const auto expected = static_cast<std::size_t>(curve.grid_columns > 0 ? 1 : units);
    require(row.size() == expected, file, "a width has not one damage a unit");
  }
  require(curve.damage.size() == curve.widths.size(), file,
          "there is not one row of damages a width");
  return curve;
}

LevelCurve levels_of(const json& value, const std::string& file) {
  LevelCurve curve{value.at("sparsity").get<double>(), {}};
  for (const json& point : value.at("points")) {
    require(point.size() == 3, file, "a point of levels is not step, bits and damage");
    curve.points.push_back(
        {damage_of(point[0], file), damage_of(point[1], file), damage_of(point[2], file)});
    const bool ascending = curve.points.size() == 1 ||
                           curve.points.back().step > std::prev(curve.points.end(), 2)->step;
    require(ascending && curve.points.back().step > 0.0, file, "the steps of levels do not ascend");
  }
  require(curve.points.size() >= 2, file, "levels have fewer than two points");
  return curve;
}

LinearCurves linear_of(const json& value, const std::string& file) {
  LinearCurves linear;
  linear.name = value.at("name").get<std::string>();
  linear.layer = value.at("layer").get<std::int64_t>();
  linear.attention = value.at("attention").get<bool>();
  linear.rows = value.at("rows").get<std::int64_t>();
  linear.columns = value.at("columns").get<std::int64_t>();
  linear.unit_of_column = value.at("unit_of_column").get<std::vector<std::int32_t>>();
  linear.units = value.at("units").get<std::int64_t>();
  const bool labelled =
      std::all_of(linear.unit_of_column.begin(), linear.unit_of_column.end(),
                  [&](std::int32_t label) { return label >= 0 && label < linear.units; });
  require(linear.rows > 0 && linear.columns > 0 && labelled &&
              static_cast<std::int64_t>(linear.unit_of_column.size()) == linear.columns,
          file, "a linear's shape and units disagree");
  for (const json& point : value.at("pruning")) {
    linear.pruning.push_back(
        {point.at("sparsity").get<double>(), damage_of(point.at("damage"), file)});
  }
  for (const json& curve : value.at("coding")) {
    linear.coding.push_back(coding_of(curve, linear.units, file));
  }
  for (const json& curve : value.at("levels")) linear.levels.push_back(levels_of(curve, file));
  for (const json& weight : value.at("row_weight")) {
    linear.row_weight.push_back(damage_of(weight, file));
  }
  require(
      linear.levels.empty() || static_cast<std::int64_t>(linear.row_weight.size()) == linear.rows,
      file, "levels have not one weight a row");
  for (const auto& [type, damage] : value.at("types").items()) {
    require(blocks::find_block_type(std::string_view(type)) != nullptr, file, "a type is unknown");
    linear.types.push_back({type, damage_of(damage, file)});
  }
  return linear;
}

/// The damage of one width and unit in a curve, if the width was measured.
std::optional<double> damage_at(const CodingCurve& curve, int width, std::size_t unit) {
  const auto found = std::find(curve.widths.begin(), curve.widths.end(), width);
  if (found == curve.widths.end()) return std::nullopt;
  return curve.damage[static_cast<std::size_t>(found - curve.widths.begin())].at(unit);
}

}  // namespace

double LinearCurves::prune_damage(double sparsity) const {
  if (sparsity <= 0.0) return 0.0;
  ensure(!pruning.empty(), "pipeline: the damage of pruning was not measured");
  const PrunePoint& first = pruning.front();
  if (pruning.size() == 1 || first.sparsity <= 0.0) return first.damage;
  if (sparsity <= first.sparsity) {
    const double share = sparsity / first.sparsity;
    return first.damage * share * share;
  }
  auto upper = std::find_if(pruning.begin(), pruning.end(),
                            [&](const PrunePoint& point) { return point.sparsity >= sparsity; });
  if (upper == pruning.end()) --upper;
  const auto lower = std::prev(upper);
  if (upper->sparsity <= lower->sparsity) return upper->damage;
  return std::exp(
      on_line(lower->sparsity, log_damage(*lower), upper->sparsity, log_damage(*upper), sparsity));
}

double LinearCurves::coding_damage(double sparsity, std::int64_t grid_columns, int width,
                                   std::size_t unit) const {
  std::optional<std::pair<double, double>> below;  // sparsity and damage of the nearest masks
  std::optional<std::pair<double, double>> above;
  for (const CodingCurve& curve : coding) {
    if (curve.grid_columns != grid_columns) continue;
    const std::optional<double> damage = damage_at(curve, width, unit);
    if (!damage) continue;
    if (curve.sparsity <= sparsity && (!below || curve.sparsity > below->first)) {
      below = {curve.sparsity, *damage};
    }
    if (curve.sparsity >= sparsity && (!above || curve.sparsity < above->first)) {
      above = {curve.sparsity, *damage};
    }
  }
  ensure(below || above, "pipeline: the damage of a width was not measured");
  if (!below || !above || below->first == above->first)
    return below ? below->second : above->second;
  return on_line(below->first, below->second, above->first, above->second, sparsity);
}

json to_json(const Measurements& measurements) {
  json linears = json::array();
  for (const LinearCurves& linear : measurements.linears) linears.push_back(to_json(linear));
  return {{"sgpt_mi_measurements", kVersion},
          {"key", measurements.key},
          {"linears", std::move(linears)}};
}

void sort_types(LinearCurves& curves) {
  std::sort(curves.types.begin(), curves.types.end(),
            [](const TypePoint& a, const TypePoint& b) { return a.type < b.type; });
}

Measurements measurements_of(const json& value, const std::string& from) {
  try {
    if (value.at("sgpt_mi_measurements").get<int>() != kVersion) {
      fail(ErrorKind::kInput, "measurements: {} has another version than {}; measure again", from,
           kVersion);
    }
    Measurements result;
    result.key = value.at("key");
    for (const json& linear : value.at("linears")) {
      result.linears.push_back(linear_of(linear, from));
    }
    return result;
  } catch (const json::exception& error) {
    fail(ErrorKind::kInput,
         "measurements: {} is not a file of --measurements ({}); delete it to measure again", from,
         error.what());
  }
}

Measurements read_measurements(const std::filesystem::path& path) {
  return measurements_of(io::read_json_object(path), path.string());
}

void write_measurements(const Measurements& measurements, const std::filesystem::path& path) {
  io::write_file_atomic(path, to_json(measurements).dump(1) + "\n");
}

}  // namespace sgpt_mi::planning

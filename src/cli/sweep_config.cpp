#include "sgpt_mi/cli/sweep_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/flags/arguments.h"
#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::cli {
namespace {

using Json = nlohmann::ordered_json;
using pipeline::GridCell;

constexpr std::array<const char*, 8> kFileKeys{"model", "dataset",  "out",  "base",
                                               "grid",  "variants", "skip", "beside"};

/// Whether a flag belongs to the compression of a cell, not to the sweep or to what it shows.
bool is_cell_flag(const flags::FlagRow& row) {
  const std::string_view key = row.key;
  return row.in_config && (row.commands & flags::kCompress) != 0 &&
         (row.commands & flags::kSweep) != 0 && key != "quiet" && key != "verbose" &&
         key != "offline";
}

[[noreturn]] void refuse_key(const std::string& where, const std::string& key,
                             const std::vector<std::string>& known) {
  const std::string nearest = flags::nearest_name(key, known);
  fail(ErrorKind::kUsage, "sweep: {}: unknown key '{}'{}", where, key,
       nearest.empty() ? "; expected one of the flags of sgpt-mi sweep --help-all"
                       : "; did you mean '" + nearest + "'?");
}

const flags::FlagRow& cell_flag(const std::string& where, const std::string& written) {
  std::string key = written;
  std::replace(key.begin(), key.end(), '-', '_');
  std::vector<std::string> known;
  for (const flags::FlagRow& row : flags::flag_table()) {
    if (!is_cell_flag(row)) continue;
    if (key == row.key) return row;
    known.emplace_back(row.key);
  }
  refuse_key(where, written, known);
}

/// The member `key` of the file; empty of that type when it is not there.
Json member(const Json& file, const std::string& where, const char* key, Json::value_t type) {
  if (!file.contains(key)) return Json(type);
  if (file.at(key).type() != type) {
    fail(ErrorKind::kUsage, "sweep: {}: '{}' is {}; a JSON {} was expected", where, key,
         file.at(key).dump(), Json(type).type_name());
  }
  return file.at(key);
}

/// An object of flags with its keys and the types of its values as the flag table has them.
Json flags_of_object(const Json& object, const std::string& where) {
  if (!object.is_object()) {
    fail(ErrorKind::kUsage, "sweep: {}: {} is not an object of flags", where, object.dump());
  }
  Json values = Json::object();
  for (const auto& [written, value] : object.items()) {
    const flags::FlagRow& row = cell_flag(where, written);
    flags::Settings scratch;
    flags::set_flag(scratch, row, value);
    values[row.key] = flags::flag_value(scratch, row);
  }
  return values;
}

/// The points of one axis: each sets one flag, or the flags of a variant.
using Axis = std::vector<Json>;

Axis grid_axis(const std::string& written, const Json& values, const std::string& where) {
  if (!values.is_array() || values.empty()) {
    fail(ErrorKind::kUsage, "sweep: {}: '{}' in grid is {}; a list of values was expected", where,
         written, values.dump());
  }
  Axis axis;
  for (const Json& value : values) axis.push_back(flags_of_object({{written, value}}, where));
  return axis;
}

std::vector<Axis> read_axes(const Json& file, const std::string& where) {
  std::vector<Axis> axes;
  Axis variants;
  for (const Json& variant : member(file, where, "variants", Json::value_t::array)) {
    variants.push_back(flags_of_object(variant, where));
  }
  if (!variants.empty()) axes.push_back(std::move(variants));
  const Json grid = member(file, where, "grid", Json::value_t::object);
  for (const auto& [written, values] : grid.items()) {
    axes.push_back(grid_axis(written, values, where));
  }
  if (axes.empty()) {
    fail(ErrorKind::kUsage, "sweep: {}: nothing is varied; give \"grid\" or \"variants\"", where);
  }
  return axes;
}

/// The flags that the axes set. Throws Error(kUsage) when two axes set the same.
std::vector<std::string> varied_flags(const std::vector<Axis>& axes, const std::string& where) {
  std::map<std::string, std::size_t> axis_of;
  std::vector<std::string> flags;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    for (const Json& point : axes[i]) {
      for (const auto& [key, value] : point.items()) {
        const auto [found, is_new] = axis_of.emplace(key, i);
        if (is_new) flags.push_back(key);
        if (found->second != i) {
          fail(ErrorKind::kUsage, "sweep: {}: '{}' stands in grid twice, or in variants too", where,
               key);
        }
      }
    }
  }
  return flags;
}

/// All combinations of one point of every axis; the last axis varies fastest.
std::vector<Json> combine(const std::vector<Axis>& axes) {
  std::vector<Json> points{Json::object()};
  for (const Axis& axis : axes) {
    std::vector<Json> longer;
    for (const Json& point : points) {
      for (const Json& step : axis) {
        longer.push_back(point);
        longer.back().update(step);
      }
    }
    points = std::move(longer);
  }
  return points;
}

bool agrees(const Json& point, const Json& entry) {
  return std::all_of(entry.items().begin(), entry.items().end(), [&](const auto& wanted) {
    return point.contains(wanted.key()) && point.at(wanted.key()) == wanted.value();
  });
}

void remove_skipped(std::vector<Json>& points, const Json& skip,
                    const std::vector<std::string>& varied, const std::string& where) {
  for (const Json& written : skip) {
    const Json entry = flags_of_object(written, where);
    for (const auto& [key, value] : entry.items()) {
      if (std::find(varied.begin(), varied.end(), key) == varied.end()) {
        fail(ErrorKind::kUsage, "sweep: {}: skip names '{}', which is not varied", where, key);
      }
    }
    std::erase_if(points, [&](const Json& point) { return agrees(point, entry); });
  }
  if (points.empty()) fail(ErrorKind::kUsage, "sweep: {}: skip leaves no cell", where);
}

void refuse_varied_on_command_line(const flags::ResolvedSettings& typed,
                                   const std::vector<std::string>& varied,
                                   const std::string& where) {
  for (const std::string& key : varied) {
    const auto found = typed.origins.find(key);
    if (found != typed.origins.end() && found->second == flags::Origin::kFlag) {
      fail(ErrorKind::kUsage, "sweep: --{} is varied by {}; leave it out of one of them", key,
           where);
    }
  }
}

/// The flags of one cell on top of what the sweep's environment and command line say.
flags::ResolvedSettings resolve(const Json& values, const flags::ResolvedSettings& typed) {
  flags::ResolvedSettings cell;
  cell.command = "compress";
  for (const flags::FlagRow& row : flags::flag_table()) {
    if (!is_cell_flag(row)) continue;
    const auto origin = typed.origins.find(row.key);
    const bool in_file = values.contains(row.key);
    if (origin != typed.origins.end() &&
        !(in_file && origin->second == flags::Origin::kEnvironment)) {
      std::visit([&](auto field) { cell.values.*field = typed.values.*field; }, row.target);
      cell.origins[row.key] = origin->second;
    } else if (in_file) {
      flags::set_flag(cell.values, row, values.at(row.key));
      cell.origins[row.key] = flags::Origin::kFile;
    }
  }
  return cell;
}

GridCell make_cell(const Json& varied, const flags::ResolvedSettings& settings) {
  GridCell cell;
  cell.varied = varied;
  cell.config = flags::config_values(settings);
  cell.settings = result_settings(settings);
  try {
    cell.run = to_compress_run(settings);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    cell.refusal = error.what();
  }
  return cell;
}

/// The flag, else the file's string of the same name; one of them must be there.
std::string required(const std::string& flag, const Json& file, const std::string& where,
                     const char* key) {
  if (!flag.empty()) return flag;
  auto text = member(file, where, key, Json::value_t::string).get<std::string>();
  if (text.empty()) {
    fail(ErrorKind::kUsage, "sweep: {} has no \"{}\"; add it or give --{}", where, key, key);
  }
  return text;
}

void refuse_unknown_file_keys(const Json& file, const std::string& where) {
  if (!file.is_object()) fail(ErrorKind::kUsage, "sweep: {} is not a JSON object", where);
  const std::vector<std::string> known(kFileKeys.begin(), kFileKeys.end());
  for (const auto& [key, value] : file.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) refuse_key(where, key, known);
  }
}

void refuse_equal_cells(const std::vector<GridCell>& cells, const std::string& where) {
  std::map<std::string, const GridCell*> seen;
  for (const GridCell& cell : cells) {
    const auto [found, is_new] = seen.emplace(cell.id(), &cell);
    if (!is_new) {
      fail(ErrorKind::kUsage, "sweep: {}: two cells are the same: {} and {}; remove one", where,
           found->second->varied.dump(), cell.varied.dump());
    }
  }
}

/// A row beside; its KL stands on a logarithmic axis.
report::BesideRow beside_row(const Json& row, const std::string& where) {
  const bool complete = row.is_object() && row.size() == 3 &&
                        row.value("name", Json()).is_string() &&
                        row.value("bytes", Json()).is_number_integer() &&
                        row.value("kl", Json()).is_number() && row.at("kl").get<double>() > 0.0;
  if (!complete) {
    fail(ErrorKind::kUsage,
         "sweep: {}: {} in beside is no row; expected a name, bytes as a whole number and a kl "
         "above 0",
         where, row.dump());
  }
  return {row.at("name"), row.at("bytes"), row.at("kl")};
}

std::optional<report::Beside> read_beside(const Json& file, const std::string& where) {
  if (!file.contains("beside")) return std::nullopt;
  const Json entry = member(file, where, "beside", Json::value_t::object);
  for (const auto& [key, value] : entry.items()) {
    const std::vector<std::string> known{"source", "set", "rows"};
    if (std::find(known.begin(), known.end(), key) == known.end()) refuse_key(where, key, known);
  }
  report::Beside beside;
  beside.source = member(entry, where, "source", Json::value_t::string);
  beside.set = member(entry, where, "set", Json::value_t::string);
  if (beside.source.empty() || beside.set.empty()) {
    fail(ErrorKind::kUsage,
         "sweep: {}: beside does not say where its figures come from; give it \"source\", a "
         "sentence, and \"set\", the evaluation set of the KL",
         where);
  }
  for (const Json& row : member(entry, where, "rows", Json::value_t::array)) {
    beside.rows.push_back(beside_row(row, where));
  }
  return beside;
}

}  // namespace

pipeline::SweepRun expand_sweep(const nlohmann::ordered_json& file,
                                const flags::ResolvedSettings& typed, const std::string& where) {
  refuse_unknown_file_keys(file, where);
  const std::vector<Axis> axes = read_axes(file, where);
  const std::vector<std::string> varied = varied_flags(axes, where);
  refuse_varied_on_command_line(typed, varied, where);
  const Json base = flags_of_object(member(file, where, "base", Json::value_t::object), where);
  std::vector<Json> points = combine(axes);
  remove_skipped(points, member(file, where, "skip", Json::value_t::array), varied, where);

  pipeline::SweepRun run;
  run.model = required(typed.values.model, file, where, "model");
  run.dataset = required(typed.values.dataset, file, where, "dataset");
  run.out = required(typed.values.out, file, where, "out");
  run.beside = read_beside(file, where);
  for (const Json& point : points) {
    Json values = base;
    values.update(point);
    flags::ResolvedSettings settings = resolve(values, typed);
    settings.values.model = run.model;
    settings.values.dataset = run.dataset;
    run.cells.push_back(make_cell(point, settings));
  }
  refuse_equal_cells(run.cells, where);
  const flags::ResolvedSettings common = resolve(base, typed);
  for (const flags::FlagRow& row : flags::flag_table()) {
    const bool is_varied = std::find(varied.begin(), varied.end(), row.key) != varied.end();
    if (common.given(row.key) && !is_varied)
      run.shared[row.key] = flags::flag_value(common.values, row);
  }
  return run;
}

std::vector<GridCell> share_of(const std::vector<GridCell>& cells, const std::string& share) {
  std::size_t index = 0;
  std::size_t shares = 0;
  const char* end = share.data() + share.size();
  const auto first = std::from_chars(share.data(), end, index);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, shares) : first;
  if (!slash || second.ec != std::errc() || second.ptr != end || index < 1 || index > shares) {
    fail(ErrorKind::kUsage, "only: '{}' is not I/N with 1 <= I <= N", share);
  }
  std::vector<GridCell> kept;
  for (std::size_t i = index - 1; i < cells.size(); i += shares) kept.push_back(cells[i]);
  return kept;
}

}  // namespace sgpt_mi::cli

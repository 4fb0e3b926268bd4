#include "sgpt_mi/report/sweep_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "cells.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/report/pareto.h"

namespace sgpt_mi::report {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;
using Rows = std::vector<Row>;
using Figures = std::optional<PerplexityFigures>;

/// Names in the order in which they first appear.
void append_new(Row& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

Row keys_of(const SweepReport& report) {
  Row keys;
  for (const SweepCell& cell : report.cells) {
    for (const auto& [key, value] : cell.config.items()) append_new(keys, key);
  }
  return keys;
}

Row sets_of(const SweepReport& report) {
  Row sets;
  for (const SweepCell& cell : report.cells) {
    if (!cell.result) continue;
    for (const PerplexityReport& set : cell.result->perplexity) append_new(sets, set.set);
  }
  return sets;
}

Row config_cells(const SweepCell& cell, const Row& keys) {
  Row row;
  for (const std::string& key : keys) {
    row.push_back(cell.config.contains(key) ? setting_text(cell.config.at(key)) : "");
  }
  return row;
}

Figures figures_of(const SweepCell& cell, const std::string& name) {
  return cell.result ? figures_of(*cell.result, name) : std::nullopt;
}

std::optional<double> quality_of(const SweepCell& cell, SweepQuality quality) {
  const auto mean = cell.result ? mean_over_sets(*cell.result) : std::nullopt;
  if (!mean) return std::nullopt;
  return quality == SweepQuality::kPerplexity ? mean->ppl : mean->kl_mean;
}

bool any_kl(const SweepReport& report) {
  return std::any_of(report.cells.begin(), report.cells.end(), [](const SweepCell& cell) {
    return quality_of(cell, SweepQuality::kKl).has_value();
  });
}

/// Whether each cell is on the front.
std::vector<bool> front_marks(const SweepReport& report, SweepQuality quality) {
  std::vector<bool> marks(report.cells.size(), false);
  for (const std::size_t i : sweep_front(report, quality)) marks[i] = true;
  return marks;
}

/// Shortest text that reads back as the same number; empty when absent.
std::string exact(const std::optional<double>& value) {
  return value ? fmt::format("{}", *value) : "";
}

void append_result(Row& row, const SweepCell& cell) {
  if (!cell.result) {
    row.insert(row.end(), 5, "");
    return;
  }
  const RunSummary& result = *cell.result;
  row.insert(row.end(), {exact(result.sparsity), exact(result.average_code_bits),
                         exact(result.stored_bits_per_weight), std::to_string(result.bytes),
                         exact(result.seconds)});
}

void append_exact_figures(Row& row, const Figures& figures) {
  if (!figures) {
    row.insert(row.end(), 7, "");
    return;
  }
  row.insert(row.end(), {exact(figures->ppl), exact(figures->ppl_stderr), exact(figures->nll_mean),
                         exact(figures->nll_stderr), exact(figures->kl_mean),
                         exact(figures->kl_stderr), exact(figures->top1_agreement)});
}

Row csv_headings(const Row& keys, const Row& sets) {
  Row row = keys;
  row.insert(row.end(), {"sparsity_reached", "average_code_bits", "stored_bits_per_weight", "bytes",
                         "seconds"});
  for (const std::string& set : sets) {
    for (const char* figure : {"ppl", "ppl_stderr", "nll_mean", "nll_stderr", "kl_mean",
                               "kl_stderr", "top1_agreement"}) {
      row.push_back(set + "_" + figure);
    }
  }
  row.insert(row.end(), {"mean_ppl", "mean_kl", "pareto_ppl", "pareto_kl", "error"});
  return row;
}

/// Text that is equal for cells that differ in the seed alone.
std::string without_seed(const SweepCell& cell) {
  SweepCell copy{cell.config, std::nullopt, ""};
  copy.config.erase("seed");
  return cell_label(copy);
}

Section beside_section(const Beside& beside) {
  Section section{"Beside: not ours", {beside.source}, {{"model", "bytes"}}, {}};
  section.table.front().push_back(printable(beside.set) + " KL");
  for (const BesideRow& row : beside.rows) {
    section.table.push_back({row.name, human_bytes(row.bytes), number_cell(row.kl, 4)});
  }
  return section;
}

Json beside_json(const Beside& beside) {
  Json json{{"source", beside.source}, {"set", beside.set}, {"rows", Json::array()}};
  for (const BesideRow& row : beside.rows) {
    json["rows"].push_back({{"name", row.name}, {"bytes", row.bytes}, {"kl", row.kl}});
  }
  return json;
}

std::vector<Section> tables(const SweepReport& report) {
  std::vector<Section> sections{{"Result",
                                 {"PPL ± its standard error over windows; mean PPL: geometric mean "
                                  "over the sets. * marks the "
                                  "Pareto front of stored bits and mean PPL."},
                                 sweep_rows(report),
                                 {}}};
  Rows seeds = sweep_seed_rows(report);
  if (!seeds.empty()) {
    sections.push_back(
        {"Over seeds", {"Mean perplexity ± its standard error over seeds."}, std::move(seeds), {}});
  }
  if (report.beside) sections.push_back(beside_section(*report.beside));
  return sections;
}

}  // namespace

std::string cell_label(const SweepCell& cell) {
  std::string label;
  for (const auto& [key, value] : cell.config.items()) {
    label += (label.empty() ? "" : " ") + key + "=" + setting_text(value);
  }
  return label;
}

std::vector<std::size_t> sweep_front(const SweepReport& report, SweepQuality quality) {
  std::vector<double> bits;
  std::vector<double> costs;
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < report.cells.size(); ++i) {
    const auto cost = quality_of(report.cells[i], quality);
    if (!cost) continue;
    bits.push_back(report.cells[i].result->stored_bits_per_weight);
    costs.push_back(*cost);
    indices.push_back(i);
  }
  std::vector<std::size_t> front;
  for (const std::size_t point : pareto_front(bits, costs)) front.push_back(indices[point]);
  return front;
}

Rows sweep_rows(const SweepReport& report) {
  const Row keys = keys_of(report);
  const Row sets = sets_of(report);
  const bool kl = any_kl(report);
  const std::vector<bool> front = front_marks(report, SweepQuality::kPerplexity);
  Rows rows{keys};
  rows.front().insert(rows.front().end(),
                      {"sparsity reached", "code bits", "stored bits/w", "bytes", "seconds"});
  for (const std::string& set : sets) rows.front().push_back(printable(set) + " PPL");
  rows.front().push_back("mean PPL");
  if (kl) rows.front().push_back("mean KL");
  rows.front().push_back("front");
  for (std::size_t i = 0; i < report.cells.size(); ++i) {
    const SweepCell& cell = report.cells[i];
    Row row = config_cells(cell, keys);
    if (cell.result) {
      append_totals(row, *cell.result);
    } else {
      row.insert(row.end(), {"-", "-", "-", "-", "-"});
    }
    for (const std::string& set : sets) row.push_back(perplexity_cell(figures_of(cell, set)));
    row.push_back(number_cell(quality_of(cell, SweepQuality::kPerplexity), 3));
    if (kl) row.push_back(number_cell(quality_of(cell, SweepQuality::kKl), 4));
    row.push_back(!cell.result ? "failed" : front[i] ? "*" : "");
    rows.push_back(std::move(row));
  }
  return rows;
}

Rows sweep_seed_rows(const SweepReport& report) {
  Row labels;
  std::map<std::string, std::vector<const SweepCell*>> groups;
  std::size_t largest = 0;
  for (const SweepCell& cell : report.cells) {
    if (!cell.result) continue;
    const std::string label = without_seed(cell);
    append_new(labels, label);
    groups[label].push_back(&cell);
    largest = std::max(largest, groups[label].size());
  }
  if (largest < 2) return {};
  const Row sets = sets_of(report);
  Rows rows{{"setting", "seeds"}};
  for (const std::string& set : sets) rows.front().push_back(printable(set) + " PPL");
  for (const std::string& label : labels) {
    rows.push_back({label, std::to_string(groups[label].size())});
    for (const std::string& set : sets) {
      std::vector<double> values;
      for (const SweepCell* cell : groups[label]) {
        if (const Figures figures = figures_of(*cell, set)) values.push_back(figures->ppl);
      }
      rows.back().push_back(mean_error_cell(values));
    }
  }
  return rows;
}

std::string sweep_csv(const SweepReport& report) {
  const Row keys = keys_of(report);
  const Row sets = sets_of(report);
  const std::vector<bool> ppl_front = front_marks(report, SweepQuality::kPerplexity);
  const std::vector<bool> kl_front = front_marks(report, SweepQuality::kKl);
  Rows rows{csv_headings(keys, sets)};
  for (std::size_t i = 0; i < report.cells.size(); ++i) {
    const SweepCell& cell = report.cells[i];
    Row row = config_cells(cell, keys);
    append_result(row, cell);
    for (const std::string& set : sets) append_exact_figures(row, figures_of(cell, set));
    row.insert(row.end(), {exact(quality_of(cell, SweepQuality::kPerplexity)),
                           exact(quality_of(cell, SweepQuality::kKl)), ppl_front[i] ? "1" : "0",
                           kl_front[i] ? "1" : "0", cell.error});
    rows.push_back(std::move(row));
  }
  return to_csv(rows);
}

Json to_json(const SweepReport& report) {
  Json json{{"version", report.version},
            {"model", report.model},
            {"dataset", report.dataset},
            {"settings", report.settings}};
  json["cells"] = Json::array();
  for (const SweepCell& cell : report.cells) {
    Json entry{{"config", cell.config}};
    entry["result"] = cell.result ? to_json(*cell.result) : Json(nullptr);
    if (!cell.result) entry["error"] = cell.error;
    json["cells"].push_back(std::move(entry));
  }
  if (report.beside) json["beside"] = beside_json(*report.beside);
  json["pareto_ppl"] = sweep_front(report, SweepQuality::kPerplexity);
  json["pareto_kl"] = sweep_front(report, SweepQuality::kKl);
  return json;
}

std::vector<TradeoffPoint> tradeoff_points(const SweepReport& report) {
  std::vector<TradeoffPoint> points;
  for (const SweepCell& cell : report.cells) {
    const auto mean = cell.result ? mean_over_sets(*cell.result) : std::nullopt;
    if (!mean) continue;
    points.push_back(
        {cell_label(cell), cell.result->stored_bits_per_weight, mean->ppl, mean->ppl_stderr});
  }
  return points;
}

std::string kl_set(const SweepReport& report) {
  if (report.beside) return report.beside->set;
  const Row sets = sets_of(report);
  return sets.empty() ? "" : sets.front();
}

std::vector<TradeoffPoint> kl_points(const SweepReport& report) {
  constexpr double kMegabyte = 1e6;
  const std::string set = kl_set(report);
  std::vector<TradeoffPoint> points;
  for (const SweepCell& cell : report.cells) {
    const Figures figures = figures_of(cell, set);
    if (!figures || !figures->kl_mean || *figures->kl_mean <= 0.0) continue;
    points.push_back({cell_label(cell), static_cast<double>(cell.result->bytes) / kMegabyte,
                      *figures->kl_mean, figures->kl_stderr.value_or(0.0)});
  }
  if (points.empty() || !report.beside) return points;
  for (const BesideRow& row : report.beside->rows) {
    points.push_back(
        {row.name + " (not ours)", static_cast<double>(row.bytes) / kMegabyte, row.kl, 0.0, true});
  }
  return points;
}

std::string sweep_text(const SweepReport& report) { return to_text(tables(report)); }

Document sweep_document(const SweepReport& report, std::vector<Picture> pictures) {
  Document document;
  document.title = fmt::format("Sweep of {}", report.model);
  document.sections = tables(report);
  add_pictures(document, std::move(pictures));
  document.sections.push_back({"Settings", {}, setup_table(report), {}});
  Section failures{"Failed cells", {}, {}, {}};
  for (const SweepCell& cell : report.cells) {
    if (!cell.result) failures.paragraphs.push_back(cell_label(cell) + ": " + cell.error);
  }
  if (!failures.paragraphs.empty()) document.sections.push_back(std::move(failures));
  return document;
}

}  // namespace sgpt_mi::report

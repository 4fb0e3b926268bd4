#include "sgpt_mi/report/comparison.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>

#include "figures_json.h"
#include "mean_error.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {
namespace {

using Values = std::vector<double>;
using SeedValues = std::map<std::uint64_t, Values>;  // seed -> one value a window

/// A quantity with one value a window.
struct Quantity {
  const char* name;
  Values PerplexityFigures::*windows;
};

SeedValues values_of(const ComparisonReport& report, const std::string& label,
                     const std::string& set, const Quantity& quantity) {
  SeedValues values;
  for (const ComparisonRow& row : report.rows) {
    const auto figures = figures_of(row.summary, set);
    if (row_label(row) != label || !figures) continue;
    const Values& windows = (*figures).*quantity.windows;
    if (!windows.empty()) values[row.seed] = windows;
  }
  return values;
}

/// Values of both sides by seed, for the seeds that both have.
struct SeedPairs {
  std::vector<const Values*> ours;
  std::vector<const Values*> baseline;
};

SeedPairs match_seeds(const SeedValues& ours, const SeedValues& baseline, const std::string& set) {
  SeedPairs pairs;
  for (const auto& [seed, values] : ours) {
    const auto found = baseline.find(seed);
    if (found == baseline.end()) continue;
    if (values.size() != found->second.size() ||
        (!pairs.ours.empty() && values.size() != pairs.ours.front()->size())) {
      fail(ErrorKind::kInput,
           "report: rows scored {} and {} windows of {}; a paired comparison needs the same ones; "
           "evaluate all with the same --eval, --seqlen and --eval_windows",
           values.size(), found->second.size(), set);
    }
    pairs.ours.push_back(&values);
    pairs.baseline.push_back(&found->second);
  }
  return pairs;
}

/// One value a window: the mean over the seeds.
Values window_means(const std::vector<const Values*>& seeds) {
  Values means(seeds.front()->size(), 0.0);
  for (const Values* values : seeds) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      means[i] += (*values)[i] / static_cast<double>(seeds.size());
    }
  }
  return means;
}

/// One value a seed: the mean over the windows.
Values seed_means(const std::vector<const Values*>& seeds) {
  Values means;
  for (const Values* values : seeds) means.push_back(mean_error(*values).mean);
  return means;
}

void append_test(std::vector<PairedDifference>& differences, PairedDifference difference,
                 const char* over, const Values& ours, const Values& baseline) {
  if (ours.size() < 2) return;
  difference.over = over;
  difference.pairs = ours.size();
  difference.test = paired_t_test(ours, baseline);
  differences.push_back(std::move(difference));
}

/// Labels in the order of their first rows.
std::vector<std::string> labels_of(const ComparisonReport& report) {
  std::vector<std::string> labels;
  for (const ComparisonRow& row : report.rows) {
    const std::string label = row_label(row);
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
  }
  return labels;
}

nlohmann::ordered_json difference_json(const PairedDifference& difference) {
  return {{"label", difference.label},
          {"baseline", difference.baseline},
          {"set", difference.set},
          {"quantity", difference.quantity},
          {"unit", "nats a token"},
          {"test", "paired Student t-test, two-sided"},
          {"over", difference.over},
          {"pairs", difference.pairs},
          {"mean_difference", difference.test.mean_difference},
          {"stderr", difference.test.standard_error},
          {"t", difference.test.t},
          {"degrees_of_freedom", difference.test.degrees_of_freedom},
          {"p_value", difference.test.p_value}};
}

}  // namespace

std::string row_label(const ComparisonRow& row) {
  return row.grouping.empty() ? row.method : row.method + " (" + row.grouping + ")";
}

std::vector<PairedDifference> paired_differences(const ComparisonReport& report) {
  constexpr Quantity kQuantities[] = {{"NLL", &PerplexityFigures::window_nll},
                                      {"KL", &PerplexityFigures::window_kl}};
  std::vector<PairedDifference> differences;
  const std::vector<std::string> labels = labels_of(report);
  for (std::size_t i = 1; i < labels.size(); ++i) {
    for (const PerplexityReport& set : report.sets) {
      for (const Quantity& quantity : kQuantities) {
        const SeedValues ours = values_of(report, labels[i], set.set, quantity);
        const SeedValues baseline = values_of(report, labels.front(), set.set, quantity);
        const SeedPairs pairs = match_seeds(ours, baseline, set.set);
        if (pairs.ours.empty()) continue;
        PairedDifference difference;
        difference.label = labels[i];
        difference.baseline = labels.front();
        difference.set = set.set;
        difference.quantity = quantity.name;
        append_test(differences, difference, "windows", window_means(pairs.ours),
                    window_means(pairs.baseline));
        append_test(differences, difference, "seeds", seed_means(pairs.ours),
                    seed_means(pairs.baseline));
      }
    }
  }
  return differences;
}

std::vector<TradeoffPoint> tradeoff_points(const ComparisonReport& report) {
  const bool several_seeds =
      std::any_of(report.rows.begin(), report.rows.end(),
                  [&](const ComparisonRow& row) { return row.seed != report.rows.front().seed; });
  std::vector<TradeoffPoint> points;
  for (const ComparisonRow& row : report.rows) {
    const auto mean = mean_over_sets(row.summary);
    if (!mean) continue;
    const std::string seed = several_seeds ? fmt::format(", seed {}", row.seed) : "";
    points.push_back(
        {row_label(row) + seed, row.summary.stored_bits_per_weight, mean->ppl, mean->ppl_stderr});
  }
  return points;
}

nlohmann::ordered_json to_json(const ComparisonReport& report) {
  nlohmann::ordered_json json{
      {"version", report.version},         {"model", report.model},
      {"dataset", report.dataset},         {"settings", report.settings},
      {"dense_bytes", report.dense_bytes}, {"perplexity", perplexity_json(report.sets)}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const ComparisonRow& row : report.rows) {
    nlohmann::ordered_json cells{
        {"label", row_label(row)}, {"grouping", row.grouping}, {"seed", row.seed}};
    cells.update(to_json(row.summary));
    json["rows"].push_back(std::move(cells));
  }
  json["paired_differences"] = nlohmann::ordered_json::array();
  for (const PairedDifference& difference : paired_differences(report)) {
    json["paired_differences"].push_back(difference_json(difference));
  }
  json["warnings"] = report.warnings;
  return json;
}

}  // namespace sgpt_mi::report

#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/pareto.h"
#include "sgpt_mi/report/run_summary.h"

namespace sgpt_mi::report {

/// One point of an ablation grid.
struct SweepCell {
  nlohmann::ordered_json config = nlohmann::ordered_json::object();  ///< varied key -> its value
  std::optional<RunSummary> result;                                  ///< absent when it failed
  std::string error;                                                 ///< why, when it failed
};

/// A model of another program, measured elsewhere.
struct BesideRow {
  std::string name;
  std::int64_t bytes = 0;  ///< counted as RunSummary::bytes
  double kl = 0.0;         ///< nats a token, above 0
};

/// What tables and pictures show beside a sweep, marked as not its own.
struct Beside {
  std::string source;  ///< a sentence: whose figures, of which model, how they were measured
  std::string set;     ///< the evaluation set of the KL
  std::vector<BesideRow> rows;
};

/// An ablation grid with its results.
struct SweepReport {
  std::string version;
  std::string model;
  std::string dataset;
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();  ///< shared by all cells
  std::vector<SweepCell> cells;
  std::optional<Beside> beside = std::nullopt;
};

/// What a Pareto front trades against stored bits a weight.
enum class SweepQuality {
  kPerplexity,  ///< geometric mean over the sets
  kKl           ///< mean over the sets, nats a token
};

/// "sparsity=0.5 wbits=4"
[[nodiscard]] std::string cell_label(const SweepCell& cell);

/// Indices of the cells that no other cell beats in both stored bits and quality, by ascending
/// stored bits. Cells without that quality are not on it.
[[nodiscard]] std::vector<std::size_t> sweep_front(const SweepReport& report, SweepQuality quality);

/// One row a cell as people read it, headings first; the last column marks the front with
/// "*" and cells without a result with "failed".
[[nodiscard]] std::vector<std::vector<std::string>> sweep_rows(const SweepReport& report);

/// Cells that differ in the key "seed" alone, taken together: mean ± standard error over seeds of
/// each set's perplexity, headings first. Empty when no two cells do.
[[nodiscard]] std::vector<std::vector<std::string>> sweep_seed_rows(const SweepReport& report);

/// One line a cell with every figure in full precision (RFC 4180). Failed cells have empty figures
/// and their error in the column "error"; "pareto" is 1 on the front, else 0.
[[nodiscard]] std::string sweep_csv(const SweepReport& report);

[[nodiscard]] nlohmann::ordered_json to_json(const SweepReport& report);

/// One point a scored cell, for plots::tradeoff_png().
[[nodiscard]] std::vector<TradeoffPoint> tradeoff_points(const SweepReport& report);

/// The evaluation set of kl_points(): the one of the figures beside, else the first that was
/// scored; empty when none was.
[[nodiscard]] std::string kl_set(const SweepReport& report);

/// KL on kl_set() against megabytes: one point a cell that has it, then the rows from beside.
/// Empty when no cell has it.
[[nodiscard]] std::vector<TradeoffPoint> kl_points(const SweepReport& report);

/// All tables for stdout. Ends with a newline.
[[nodiscard]] std::string sweep_text(const SweepReport& report);

/// The document behind the sweep's Markdown and HTML.
[[nodiscard]] Document sweep_document(const SweepReport& report, std::vector<Picture> pictures);

}  // namespace sgpt_mi::report

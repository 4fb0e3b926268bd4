#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/sweep_report.h"

namespace sgpt_mi::pipeline {

/// One compression of a sweep.
struct GridCell {
  nlohmann::ordered_json varied = nlohmann::ordered_json::object();  ///< flag -> value, as labels
  nlohmann::json settings =
      nlohmann::json::object();                      ///< all that decides the result; its identity
  nlohmann::json config = nlohmann::json::object();  ///< for RunReport::config
  std::optional<CompressRun> run;                    ///< absent when the flags make no run
  std::string refusal;                               ///< then: the sentence of Error(kUsage)

  /// 12 hex digits of the SHA-256 of `settings` (keys sorted): the name of the cell's file.
  [[nodiscard]] std::string id() const;
};

/// One `sgpt-mi sweep`: cells of one model on one calibration dataset.
struct SweepRun {
  std::string version;               ///< of the program
  std::vector<std::string> command;  ///< for the cells' reports
  std::string model;
  std::string dataset;
  nlohmann::ordered_json shared = nlohmann::ordered_json::object();  ///< flags equal in all cells
  std::filesystem::path out;
  std::vector<GridCell> cells;
  std::optional<report::Beside> beside = std::nullopt;  ///< shown with the results, marked
  bool write_tables = true;                             ///< false for a share of a larger sweep
};

/// What a sweep found.
struct SweepResult {
  report::SweepReport report;          ///< all cells, in the order of SweepRun::cells
  std::optional<Error> first_failure;  ///< of the first failed cell
  std::int64_t failed = 0;             ///< number of failed cells
};

/// Whether each cell's file holds a finished compression with these settings, of this program
/// version and of these weights. Cost: one pass over the model's weight files.
/// Throws Error(kInput) when the model is not found.
[[nodiscard]] std::vector<bool> finished_cells(const SweepRun& run);

/// Compresses and scores every cell that is not finished, one after the other, and writes each at
/// once to out/cells/ID.json:
///
///   {"version", "model_sha256", "cell": {varied flags}, "settings": {...},
///    "report": {keys of --report}}            or, of a failed cell, instead of "report":
///    "error": {"kind": exit code, "message": sentence}}
///
/// Cells share what a Workbench holds. A cell that fails is recorded and the sweep goes on; it is
/// tried again by the next run. Then writes out/sweep.csv, sweep.json, sweep.md, report.html and,
/// when at least one cell was scored, ppl_vs_stored_bits.png and kl_vs_bytes.png.
///
/// events: stages and progress of the cell at work, one result() a cell, each different warning
/// once.
///
/// Throws Error(kInput) when `out` cannot be written or the model is not found, Error(kInternal)
/// of a cell as it is, Error(kInterrupted) telling what is kept.
[[nodiscard]] SweepResult run_sweep(const SweepRun& run, report::Events& events);

}  // namespace sgpt_mi::pipeline

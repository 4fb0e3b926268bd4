#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/comparison.h"
#include "sgpt_mi/report/events.h"

namespace sgpt_mi::pipeline {

/// One way to compress in a comparison.
struct CompareVariant {
  std::string method;
  std::string grouping;  ///< empty for methods without groups
  CompressRun run;       ///< without save_dir; calibration.seed is replaced by each seed in turn
};

/// One `sgpt-mi compare`: every variant with every seed, on one model and the same texts.
struct CompareRun {
  std::vector<CompareVariant> variants;  ///< the first is the baseline; all of one model
  std::vector<std::uint64_t> seeds;
  std::string folder;  ///< of the report's files and pictures; empty: none
  /// Finished variants, and what is finished of the one at work, are kept in JOURNAL.partial until
  /// all are; empty: nothing is kept.
  std::string journal;
  std::vector<std::string> command;
  Unfinished unfinished = Unfinished::kRefuse;  ///< what becomes of a journal that is there

  /// Throws Error(kUsage) without variants or seeds, or with one twice.
  void validate() const;
};

/// Runs all variants. The model is opened, the texts are tokenized and the dense model is scored
/// once; each seed's calibration windows are drawn once and shared by all variants.
///
/// With a folder: performance_report.md, report.html, comparison.json and the pictures
/// (mi_matrix_<linear>.png and grouping_result_<linear>.png of the grouped inputs of block 0,
/// bits_per_layer.png and loss_per_layer.png of the last grouped variant, ppl_vs_stored_bits.png).
///
/// \param start    comes with version, model, dataset and settings; rows and sets are filled in.
/// \param deliver  takes the result; what is kept of the run goes only after it has returned.
/// Throws as run_compress, and what `deliver` throws.
void run_compare(const CompareRun& run, report::Events& events, report::ComparisonReport start,
                 const std::function<void(const report::ComparisonReport&)>& deliver);

}  // namespace sgpt_mi::pipeline

#include "sgpt_mi/pipeline/compare.h"

#include <filesystem>
#include <set>
#include <utility>

#include "pictures.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {
namespace {

/// Pictures of the last variant with groups, for the first seed.
struct KeptPictures {
  std::vector<compress::GroupPicture> groups;
  std::vector<report::LayerReport> layers;
};

void add_row(report::ComparisonReport& comparison, const CompareVariant& variant,
             std::uint64_t seed, const report::RunReport& run) {
  comparison.rows.push_back({variant.method, variant.grouping, seed, report::summarize(run)});
  if (comparison.sets.empty()) {
    comparison.sets = run.perplexity;
    for (report::PerplexityReport& set : comparison.sets) set.compressed.reset();
    comparison.dense_bytes = run.model.bytes;
  }
  for (const std::string& warning : run.warnings) {
    comparison.warnings.push_back(report::row_label(comparison.rows.back()) + ": " + warning);
  }
}

void write_files(const std::string& folder, const report::ComparisonReport& comparison,
                 const KeptPictures& kept) {
  std::vector<report::Picture> pictures = draw_pictures(kept.groups, kept.layers);
  add_tradeoff(report::tradeoff_points(comparison), comparison.model, pictures);
  write_document(folder, "performance_report",
                 report::comparison_document(comparison, std::move(pictures)));
  io::write_file_atomic(std::filesystem::path(folder) / "comparison.json",
                        io::json_text(to_json(comparison)));
}

}  // namespace

void CompareRun::validate() const {
  if (variants.empty()) fail(ErrorKind::kUsage, "compare: no method; give --methods NAME,NAME");
  if (seeds.empty()) fail(ErrorKind::kUsage, "compare: no seed; give --seeds 0,1,2");
  if (std::set<std::uint64_t>(seeds.begin(), seeds.end()).size() != seeds.size()) {
    fail(ErrorKind::kUsage, "compare: a seed is given twice");
  }
  std::set<std::pair<std::string, std::string>> labels;
  for (const CompareVariant& variant : variants) {
    if (!labels.emplace(variant.method, variant.grouping).second) {
      fail(ErrorKind::kUsage, "compare: method {} is given twice", variant.method);
    }
    variant.run.validate();
  }
}

report::ComparisonReport run_compare(const CompareRun& run, report::Events& events,
                                     report::ComparisonReport start) {
  run.validate();
  Workbench bench;
  KeptPictures kept;
  for (const std::uint64_t seed : run.seeds) {
    for (const CompareVariant& variant : run.variants) {
      check_interrupt();
      CompressRun one = variant.run;
      one.calibration.seed = seed;
      if (one.compression.widths) one.compression.widths->grouping.seed = seed;
      if (one.compression.plan) one.compression.plan->widths.grouping.seed = seed;
      const bool draws = !run.folder.empty() && seed == run.seeds.front();
      std::vector<compress::GroupPicture> pictures;
      const report::RunReport result =
          run_compress(bench, one, events, {}, draws ? &pictures : nullptr);
      add_row(start, variant, seed, result);
      if (draws && (!pictures.empty() || kept.layers.empty())) {
        kept = {std::move(pictures), result.layers};
      }
    }
  }
  if (!run.folder.empty()) write_files(run.folder, start, kept);
  return start;
}

}  // namespace sgpt_mi::pipeline

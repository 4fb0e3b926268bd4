#include "sgpt_mi/pipeline/compare.h"

#include <filesystem>
#include <set>
#include <utility>

#include "resume.h"
#include "sgpt_mi/compress/picture_record.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/pages/pictures.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {
namespace {

/// What one compression adds to a comparison.
struct Compared {
  report::RunSummary summary;
  std::int64_t dense_bytes = 0;
  std::vector<std::string> warnings;
  std::vector<report::LayerReport> layers;       ///< with pictures only
  std::vector<compress::GroupPicture> pictures;  ///< where they are wanted
};

/// Pictures of the last variant with groups, for the first seed.
struct KeptPictures {
  std::vector<compress::GroupPicture> groups;
  std::vector<report::LayerReport> layers;
};

void add_row(report::ComparisonReport& comparison, const CompareVariant& variant,
             std::uint64_t seed, const Compared& compared) {
  comparison.rows.push_back({variant.method, variant.grouping, seed, compared.summary});
  if (comparison.sets.empty()) {
    comparison.sets = compared.summary.perplexity;
    for (report::PerplexityReport& set : comparison.sets) set.compressed.reset();
    comparison.dense_bytes = compared.dense_bytes;
  }
  for (const std::string& warning : compared.warnings) {
    comparison.warnings.push_back(report::row_label(comparison.rows.back()) + ": " + warning);
  }
}

void keep(journal::RunJournal& journal, const std::string& key, const Compared& compared) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const report::LayerReport& layer : compared.layers) layers.push_back(to_json(layer));
  std::vector<containers::TensorData> tensors;
  nlohmann::json pictures = compress::record_pictures(compared.pictures, tensors);
  journal.keep_step(key,
                    {{"summary", to_json(compared.summary)},
                     {"dense_bytes", compared.dense_bytes},
                     {"warnings", compared.warnings},
                     {"layers", layers},
                     {"pictures", std::move(pictures)}},
                    tensors);
}

std::optional<Compared> recall(const journal::RunJournal& journal, const std::string& key) {
  const std::optional<nlohmann::json> value = journal.find(key);
  if (!value) return std::nullopt;
  const auto tensors = journal.tensors(key);
  if (tensors == nullptr && !value->at("pictures").empty()) return std::nullopt;
  const std::string where = journal.file(key).string();
  Compared compared{report::summary_from_json(value->at("summary"), where),
                    value->at("dense_bytes"),
                    value->at("warnings"),
                    {},
                    {}};
  for (const nlohmann::json& layer : value->at("layers")) {
    compared.layers.push_back(report::layer_from_json(layer, where));
  }
  compared.pictures =
      compress::recall_pictures(value->at("pictures"), compress::lookup_in(tensors.get()));
  return compared;
}

void write_files(const std::string& folder, const report::ComparisonReport& comparison,
                 const KeptPictures& kept) {
  std::vector<report::Picture> pictures = pages::draw_pictures(kept.groups, kept.layers);
  pages::add_tradeoff(report::tradeoff_points(comparison), comparison.model, pictures);
  pages::write_document(folder, "performance_report",
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

namespace {

/// A comparison at work.
class Comparer {
 public:
  Comparer(const CompareRun& run, report::Events& events) : run_(run), events_(events) {}

  void begin(const report::ComparisonReport& start);
  [[nodiscard]] Compared compare(const CompareVariant& variant, std::uint64_t seed, bool draws);
  void remove_journal() {
    if (journal_) journal_->remove();
  }
  [[nodiscard]] std::optional<journal::Progress> progress() const {
    return journal_ ? journal_->progress() : std::nullopt;
  }

 private:
  const CompareRun& run_;
  report::Events& events_;
  Workbench bench_;
  std::optional<journal::RunJournal> journal_;
};

void Comparer::begin(const report::ComparisonReport& start) {
  if (run_.journal.empty()) return;
  journal_.emplace(run_.journal);
  refuse_unfinished(*journal_, run_.unfinished);
  const nlohmann::json identity{
      {"version", start.version},
      {"settings", run_.variants.front().run.settings},
      {"methods", start.settings},
      {"model_sha256", bench_.weights_sha256(run_.variants.front().run.model).get()}};
  if (journal_->progress() && run_.unfinished == Unfinished::kGoOn) {
    journal_->require_same(identity);
  }
  const auto steps = static_cast<std::int64_t>(run_.variants.size() * run_.seeds.size());
  begin_or_go_on(*journal_, identity, run_.command, steps);
  bench_.keep_in(*journal_);
}

Compared Comparer::compare(const CompareVariant& variant, std::uint64_t seed, bool draws) {
  CompressRun one = variant.run;
  one.calibration.seed = seed;
  if (one.compression.widths) one.compression.widths->grouping.seed = seed;
  if (one.compression.plan) one.compression.plan->widths.grouping.seed = seed;
  const std::string key = fmt::format("cell-{}-{}-{}", variant.method, variant.grouping, seed);
  if (journal_) {
    if (std::optional<Compared> known = recall(*journal_, key)) return std::move(*known);
    one.journal = journal_->file(key).string();
    one.unfinished = Unfinished::kGoOnOrForget;
    one.settings["seed"] = seed;
  }
  Compared compared;
  report::RunReport result =
      run_compress(bench_, one, events_, {}, draws ? &compared.pictures : nullptr);
  compared.summary = report::summarize(result);
  compared.dense_bytes = result.model.bytes;
  compared.warnings = std::move(result.warnings);
  if (draws) compared.layers = std::move(result.layers);
  if (journal_) keep(*journal_, key, compared);
  return compared;
}

}  // namespace

void run_compare(const CompareRun& run, report::Events& events, report::ComparisonReport start,
                 const std::function<void(const report::ComparisonReport&)>& deliver) {
  run.validate();
  Comparer comparer(run, events);
  comparer.begin(start);
  KeptPictures kept;
  try {
    for (const std::uint64_t seed : run.seeds) {
      for (const CompareVariant& variant : run.variants) {
        check_interrupt();
        const bool draws = !run.folder.empty() && seed == run.seeds.front();
        Compared compared = comparer.compare(variant, seed, draws);
        add_row(start, variant, seed, compared);
        if (draws && (!compared.pictures.empty() || kept.layers.empty())) {
          kept = {std::move(compared.pictures), std::move(compared.layers)};
        }
      }
    }
  } catch (const Error& error) {
    const auto progress = comparer.progress();
    if (error.kind() != ErrorKind::kInterrupted || !progress) throw;
    throw Error(ErrorKind::kInterrupted, interrupted_text(*progress));
  }
  if (!run.folder.empty()) write_files(run.folder, start, kept);
  deliver(start);
  comparer.remove_journal();
}

}  // namespace sgpt_mi::pipeline

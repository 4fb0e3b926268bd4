#include "sgpt_mi/pipeline/sweep.h"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <set>
#include <utility>

#include "resume.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/memory/out_of_memory.h"
#include "sgpt_mi/pages/pictures.h"
#include "sgpt_mi/report/run_summary.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {
namespace {

using Json = nlohmann::ordered_json;
using report::RunSummary;

std::filesystem::path cell_file(const SweepRun& run, const GridCell& cell) {
  return run.out / "cells" / (cell.id() + ".json");
}

std::string label_of(const GridCell& cell) {
  return report::cell_label({cell.varied, std::nullopt, ""});
}

/// What a finished cell's file says; absent when it must run (again): no file, a cut one, another
/// program version, other weights, other settings, a failure.
std::optional<RunSummary> read_cell(const SweepRun& run, const GridCell& cell,
                                    const std::string& model_sha256) {
  const std::filesystem::path path = cell_file(run, cell);
  if (!std::filesystem::exists(path)) return std::nullopt;
  const Json json = Json::parse(documents::read_text_file(path), nullptr, false);
  if (!json.is_object() || !json.contains("report")) return std::nullopt;
  // A plain json compares members by key, whatever their order in the file.
  const bool same = json.value("version", Json()) == run.version &&
                    json.value("model_sha256", Json()) == model_sha256 &&
                    nlohmann::json(json.value("settings", Json())) == cell.settings;
  if (!same) return std::nullopt;
  return report::summary_from_json(json.at("report"), path.string());
}

void write_cell(const SweepRun& run, const GridCell& cell, const std::string& model_sha256,
                const char* key, const Json& value) {
  const Json json{{"version", run.version},
                  {"model_sha256", model_sha256},
                  {"cell", cell.varied},
                  {"settings", cell.settings},
                  {key, value}};
  io::write_file_atomic(cell_file(run, cell), io::json_text(json));
}

/// Passes on what is worth showing of one compression among many: not its plan and its linears, and
/// a warning only the first time.
class CellEvents : public report::Events {
 public:
  explicit CellEvents(report::Events& shown) : shown_(shown) {}

  void begin(std::string cell) { cell_ = std::move(cell); }

  void stage(const std::string& name, std::int64_t units) override {
    shown_.stage(cell_ + ": " + name, units);
  }
  void progress(std::int64_t done) override { shown_.progress(done); }
  void warning(const std::string& text) override {
    if (warned_.insert(text).second) shown_.warning(text);
  }

 private:
  report::Events& shown_;
  std::string cell_;
  std::set<std::string> warned_;
};

/// The figures of a cell for its line: "3.21 stored bits, PPL 12.345 ± 0.21".
std::string describe(const RunSummary& summary) {
  const std::string bits = fmt::format("{:.3f} stored bits", summary.stored_bits_per_weight);
  const auto mean = report::mean_over_sets(summary);
  return mean ? fmt::format("{}, PPL {:.3f} ± {:.3f}", bits, mean->ppl, mean->ppl_stderr) : bits;
}

/// The state of a sweep at work.
class Sweeper {
 public:
  Sweeper(const SweepRun& run, report::Events& events)
      : run_(run),
        events_(events),
        cell_events_(events),
        model_sha256_(bench_.weights_sha256({run.model}).get()) {
    if (run.write_tables) share_dense_evaluations();
  }

  SweepResult sweep() {
    result_.report = {run_.version, run_.model, run_.dataset, run_.shared, {}, run_.beside};
    for (const GridCell& cell : run_.cells) add(cell);
    if (journal_) journal_->remove();
    return std::move(result_);
  }

 private:
  void share_dense_evaluations();
  void add(const GridCell& cell);
  RunSummary compress(const GridCell& cell);
  void record_failure(const GridCell& cell, const Error& error);
  [[nodiscard]] std::string position() const;

  const SweepRun& run_;
  report::Events& events_;
  CellEvents cell_events_;
  Workbench bench_;
  std::string model_sha256_;
  std::optional<journal::RunJournal> journal_;  // of what the cells share
  SweepResult result_;
};

void Sweeper::share_dense_evaluations() {
  journal_.emplace(run_.out / "sweep");
  begin_or_go_on(*journal_, {{"version", run_.version}, {"model_sha256", model_sha256_}},
                 run_.command, 0);
  bench_.keep_in(*journal_);
}

/// Where a cell keeps its progress.
std::filesystem::path cell_journal(const SweepRun& run, const GridCell& cell) {
  return run.out / "cells" / cell.id();
}

std::string Sweeper::position() const {
  return fmt::format("cell {}/{}", result_.report.cells.size() + 1, run_.cells.size());
}

RunSummary Sweeper::compress(const GridCell& cell) {
  if (!cell.run) throw Error(ErrorKind::kUsage, cell.refusal);
  report::RunReport start;
  start.version = run_.version;
  start.command = run_.command;
  start.config = cell.config;
  try {
    CompressRun one = *cell.run;
    one.journal = cell_journal(run_, cell).string();
    one.unfinished = Unfinished::kGoOnOrForget;
    const report::RunReport report = run_compress(bench_, one, cell_events_, start);
    write_cell(run_, cell, model_sha256_, "report", to_json(report));
    return report::summarize(report);
  } catch (const std::exception& failure) {
    if (const std::optional<Error> error = memory::out_of_memory(failure)) throw Error(*error);
    throw;
  }
}

void Sweeper::record_failure(const GridCell& cell, const Error& error) {
  write_cell(run_, cell, model_sha256_, "error",
             {{"kind", error.exit_code()}, {"message", error.what()}});
  if (!result_.first_failure) result_.first_failure = error;
  ++result_.failed;
}

void Sweeper::add(const GridCell& cell) {
  check_interrupt();
  const std::string name = position() + " " + label_of(cell);
  report::SweepCell row{cell.varied, read_cell(run_, cell, model_sha256_), ""};
  if (row.result) {
    events_.result(name + ": kept from before, " + describe(*row.result));
  } else {
    cell_events_.begin(position());
    // A process that works on the cell ends this one: that is no failure of the cell.
    static_cast<void>(journal::RunJournal::progress_of(cell_journal(run_, cell)));
    try {
      row.result = compress(cell);
      events_.result(
          fmt::format("{}: {}, {:.1f} s", name, describe(*row.result), row.result->seconds));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInterrupted || error.kind() == ErrorKind::kInternal) throw;
      record_failure(cell, error);
      row.error = error.what();
      events_.result(name + ": failed: " + row.error);
    }
  }
  result_.report.cells.push_back(std::move(row));
}

void write_tables(const SweepRun& run, const report::SweepReport& report) {
  io::write_file_atomic(run.out / "sweep.csv", report::sweep_csv(report));
  io::write_file_atomic(run.out / "sweep.json", io::json_text(to_json(report)));
  std::vector<report::Picture> pictures;
  pages::add_tradeoff(report::tradeoff_points(report), report.model, pictures);
  pages::add_divergence(report, pictures);
  pages::write_document(run.out.string(), "sweep",
                        report::sweep_document(report, std::move(pictures)));
}

void make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    fail(ErrorKind::kInput, "sweep: {} cannot be made: {}; give another --out", path.string(),
         error.message());
  }
}

}  // namespace

std::string GridCell::id() const { return sha256_hex(settings.dump()).substr(0, 12); }

std::vector<bool> finished_cells(const SweepRun& run) {
  Workbench bench;
  const std::string model_sha256 = bench.weights_sha256({run.model}).get();
  std::vector<bool> finished;
  for (const GridCell& cell : run.cells) {
    finished.push_back(read_cell(run, cell, model_sha256).has_value());
  }
  return finished;
}

SweepResult run_sweep(const SweepRun& run, report::Events& events) {
  make_folder(run.out / "cells");
  try {
    SweepResult result = Sweeper(run, events).sweep();
    if (run.write_tables) write_tables(run, result.report);
    return result;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    fail(ErrorKind::kInterrupted,
         "sweep: interrupted; what is finished is kept in {}; the same command goes on from there",
         (run.out / "cells").string());
  }
}

}  // namespace sgpt_mi::pipeline

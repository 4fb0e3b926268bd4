#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "sgpt_mi/cli/sweep_config.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/flags/version.h"
#include "sgpt_mi/pipeline/sweep.h"
#include "sgpt_mi/report/document.h"

namespace sgpt_mi::cli {
namespace {

pipeline::SweepRun read_sweep(const flags::ResolvedSettings& settings) {
  const std::string& path = settings.values.grid;
  const auto file = nlohmann::ordered_json::parse(documents::read_text_file(path), nullptr, false);
  if (file.is_discarded()) fail(ErrorKind::kInput, "sweep: {} is not valid JSON", path);
  pipeline::SweepRun run = expand_sweep(file, settings, path);
  run.version = flags::kVersion;
  if (!settings.values.only.empty()) {
    run.cells = share_of(run.cells, settings.values.only);
    run.write_tables = false;
  }
  return run;
}

/// One line a cell: its file's name, whether it will run, what it varies.
std::string cell_list(const pipeline::SweepRun& run) {
  const std::vector<bool> finished = pipeline::finished_cells(run);
  std::vector<std::vector<std::string>> rows{{"cell", "file", "state"}};
  for (std::size_t i = 0; i < run.cells.size(); ++i) {
    const pipeline::GridCell& cell = run.cells[i];
    rows.push_back({report::cell_label({cell.varied, std::nullopt, ""}), cell.id() + ".json",
                    !cell.run     ? "refused"
                    : finished[i] ? "finished"
                                  : "to run"});
  }
  std::string text = report::text_table(rows);
  for (const pipeline::GridCell& cell : run.cells) {
    if (!cell.run) text += fmt::format("{}: {}\n", cell.id(), cell.refusal);
  }
  return text;
}

}  // namespace

void run_sweep_command(const flags::ResolvedSettings& settings,
                       const std::vector<std::string>& command_line) {
  pipeline::SweepRun run = read_sweep(settings);
  run.command = command_line;
  if (settings.values.dry_run) {
    print_out(cell_list(run));
    return;
  }
  Console console(settings.values.quiet);
  const pipeline::SweepResult result = pipeline::run_sweep(run, console);
  print_out(report::sweep_text(result.report));
  if (!result.first_failure) return;
  fail(result.first_failure->kind(),
       "sweep: {} of {} cells failed, the first with: {}; the same command tries them again",
       result.failed, run.cells.size(), result.first_failure->what());
}

}  // namespace sgpt_mi::cli

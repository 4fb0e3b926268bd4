#pragma once

#include <memory>
#include <string>

#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::pipeline {

/// The journal of a run, or null when it keeps none. Before any work: an unfinished run that is
/// in the way is refused or, with other settings or of another version, as run.unfinished says.
[[nodiscard]] std::unique_ptr<journal::RunJournal> open_journal(const CompressRun& run,
                                                                const report::RunReport& report);

/// Begins the run in its journal, or goes on with the one that is there, whose command the report
/// then has. `report` names model and calibration by their hashes.
void start_journal(journal::RunJournal& journal, const CompressRun& run, report::RunReport& report,
                   report::Events& events);

/// The sentence of an interrupted run that `report` belongs to.
[[nodiscard]] std::string interrupted_text(const journal::Progress& progress);

}  // namespace sgpt_mi::pipeline

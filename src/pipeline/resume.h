#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/text/corpus.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {

/// The journal of a run, or null when it keeps none. Before any work: an unfinished run that is
/// in the way is refused or, with other settings or of another version, as run.unfinished says.
[[nodiscard]] std::unique_ptr<journal::RunJournal> open_journal(const CompressRun& run,
                                                                const report::RunReport& report);

/// Throws Error(kUsage) that says how to go on with what is in a journal, where that is not asked
/// for.
void refuse_unfinished(const journal::RunJournal& journal, Unfinished unfinished);

/// Goes on with the run that is in a journal when it is this one, else begins.
void begin_or_go_on(journal::RunJournal& journal, const nlohmann::json& identity,
                    const std::vector<std::string>& command, std::int64_t steps);

/// Begins the run in its journal, or goes on with the one that is there, whose command the report
/// then has. `report` names model and calibration by their hashes.
void start_journal(journal::RunJournal& journal, const CompressRun& run, report::RunReport& report,
                   report::Events& events);

/// Throws Error(kInput) naming the first rank whose program, arithmetic, model, texts or settings
/// are not those of rank 0. `report` names model and texts by their hashes; settings: of a
/// compression, or null.
void require_same_run(const Session& session, const report::RunReport& report,
                      const nlohmann::json& settings);

/// The record of a dense evaluation in a journal.
[[nodiscard]] std::string dense_record(const std::vector<text::EvalSet>& sets,
                                       const model::Placement& placement, bool keep_head);
void keep_dense(journal::RunJournal& journal, const std::string& record,
                const DenseEvaluation& dense);
/// Nothing when it was not kept, or is damaged.
[[nodiscard]] std::optional<DenseEvaluation> recall_dense(const journal::RunJournal& journal,
                                                          const std::string& record);

/// The sentence of an interrupted run that `report` belongs to.
[[nodiscard]] std::string interrupted_text(const journal::Progress& progress);

}  // namespace sgpt_mi::pipeline

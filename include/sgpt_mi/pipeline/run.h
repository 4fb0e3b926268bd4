#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::pipeline {

/// Checks everything that `run` needs (model, texts, tokenizer, output place, memory), reports the
/// plan through events.plan() and does nothing else.
/// Throws what run_compress would throw for the same mistake.
void plan_compress(const CompressRun& run, report::Events& events);

/// The main job: plan, dense perplexity, calibrate and compress block by block, save, perplexity of
/// what was saved. Everything is computed with weights rounded to the checkpoint's own types, so
/// that a saved model scores what this run reports.
///
/// With save_dir the folder appears complete after the last block, before the final evaluation;
/// its sgpt_mi.json is replaced when the perplexities are known.
///
/// With run.journal every finished site of a block is on the disk before the next one begins
/// (journal::RunJournal). A process that goes on streams the windows through the finished blocks
/// without compressing them again, and its result has the bytes of an uninterrupted run's, the
/// report but for its seconds and peak_bytes.
///
/// Memory: one block's weights, one H per site, the calibration activations
/// (windows x seqlen x hidden, twice while a block runs); without save_dir also all compressed
/// weights in the checkpoint's types.
///
/// With record_file the run's page is written at its end, or when it fails, with what was done by
/// then and the error; a run that fails also leaves it in its journal's folder, as record.html.
///
/// Throws Error: kInput (files, texts), kUsage (options that do not fit the model, an unfinished
/// run that is in the way or differs), kNumeric (NaN, damping exhausted), kDevice, kInterrupted; an
/// unfinished output folder is removed.
/// `report` comes with what only the caller knows (version, command, config) and is returned
/// filled.
[[nodiscard]] report::RunReport run_compress(const CompressRun& run, report::Events& events,
                                             report::RunReport report);

/// "DIR.partial holds an unfinished run, 40 % of its work done"; nothing when there is none.
/// Throws Error(kInput) when a process works there.
[[nodiscard]] std::optional<std::string> unfinished_run(const std::string& target);

/// Perplexity of a model as it is. `report` as above.
[[nodiscard]] report::RunReport run_eval(const EvalRun& run, report::Events& events,
                                         report::RunReport report);

}  // namespace sgpt_mi::pipeline

#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "plan.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/session/session.h"
#include "sgpt_mi/text/calibration.h"
#include "sgpt_mi/text/corpus.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::pipeline {

/// The dense model on evaluation sets, one entry a set, in their order.
struct DenseEvaluation {
  std::vector<report::PerplexityFigures> figures;
  std::vector<eval::FinalStates> states;  ///< what compressed models are compared with
};

/// What several runs on one model share, each made when it is first asked for: the opened model,
/// its tokenizer and weight hash, drawn calibration windows, evaluation sets and what the dense
/// model makes of them. Asking for another model, device or dtype drops all of it but the hashes.
///
/// Memory: token ids of every calibration draw and evaluation set that was asked for, and the dense
/// model's final states on the sets that were scored; no weights.
class Workbench {
 public:
  /// Everything that a compression starts from, checked (whatever can fail early, fails here);
  /// tells the plan through events.plan(). The result refers to this bench and is valid until a run
  /// with another model is prepared.
  [[nodiscard]] PreparedRun prepare(const CompressRun& run, report::Events& events);

  /// The opened model.
  [[nodiscard]] Session& session(const ModelOptions& options);

  /// The evaluation sets of the session that is open, in the order asked for.
  [[nodiscard]] const std::vector<text::EvalSet>& eval_sets(const EvalOptions& options);

  /// The dense model on eval_sets(options), in that order; measured once. keep_head: its states are
  /// compared with models whose heads may differ.
  /// \param journal  where it is kept for later processes, unless keep_in() named another; nullptr:
  ///                 nowhere.
  [[nodiscard]] const DenseEvaluation& dense_evaluation(const EvalOptions& options, bool keep_head,
                                                        journal::RunJournal* journal,
                                                        report::Events& events);

  /// Dense evaluations are kept in a journal that all runs on this bench share, and outlives it.
  void keep_in(journal::RunJournal& journal) { shared_journal_ = &journal; }

  /// Starts hashing a model's weight files beside the other work, once a model; the result as
  /// formats::weight_files_sha256(). Where rank 0 alone reads them, it tells the others when all
  /// first ask for the result.
  [[nodiscard]] std::shared_future<std::string> weights_sha256(const ModelOptions& model);

 private:
  [[nodiscard]] DenseEvaluation evaluate_dense(const std::vector<text::EvalSet>& sets,
                                               bool keep_head, report::Events& events);

  using SessionKey = std::tuple<std::string, std::string, std::string, int, bool>;
  using CalibrationKey =
      std::tuple<std::string, std::string, std::string, std::int64_t, std::int64_t, std::uint64_t>;
  using EvalKey =
      std::tuple<std::vector<std::string>, std::string, std::string, std::int64_t, std::int64_t>;

  [[nodiscard]] EvalKey key_of(const EvalOptions& options) const;
  [[nodiscard]] const text::CalibrationSet& calibration(const CompressRun& run);
  [[nodiscard]] text::CalibrationSet draw(const std::string& dataset,
                                          const text::DataSettings& data,
                                          const text::CalibrationOptions& options);
  /// Null when all of `sets` are recorded windows.
  [[nodiscard]] const tokenizer::Tokenizer* tokenizer_for(const std::vector<std::string>& sets);

  SessionKey session_key_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::map<CalibrationKey, text::CalibrationSet> calibrations_;
  std::map<EvalKey, std::vector<text::EvalSet>> eval_sets_;
  std::map<std::pair<EvalKey, bool>, DenseEvaluation> dense_evaluations_;
  std::map<std::string, std::shared_future<std::string>> hashes_;
  journal::RunJournal* shared_journal_ = nullptr;
};

/// run_compress() with what `bench` holds, but without pictures of its own.
/// \param pictures  filled with the grouped sites of block 0; nullptr: not wanted.
[[nodiscard]] report::RunReport run_compress(
    Workbench& bench, const CompressRun& run, report::Events& events, report::RunReport report,
    std::vector<compress::GroupPicture>* pictures = nullptr);

}  // namespace sgpt_mi::pipeline

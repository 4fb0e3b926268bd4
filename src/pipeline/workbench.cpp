#include "workbench.h"

#include <algorithm>
#include <utility>

#include "evaluate.h"
#include "resume.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::pipeline {

Session& Workbench::session(const ModelOptions& options) {
  SessionKey key{options.model, options.device, options.dtype, options.threads,
                 options.assume_device};
  if (session_ && key == session_key_) return *session_;
  dense_evaluations_.clear();
  eval_sets_.clear();
  calibrations_.clear();
  tokenizer_.reset();
  session_.reset();
  session_ = std::make_unique<Session>(options);
  session_key_ = std::move(key);
  return *session_;
}

const tokenizer::Tokenizer* Workbench::tokenizer_for(const std::vector<std::string>& sets) {
  if (std::all_of(sets.begin(), sets.end(), is_recorded)) return nullptr;
  if (!tokenizer_) tokenizer_ = session::load_tokenizer_of(session_->checkpoint);
  return tokenizer_.get();
}

const text::CalibrationSet& Workbench::calibration(const CompressRun& run) {
  text::CalibrationOptions options;
  options.nsamples = run.calibration.nsamples;
  options.seqlen = session_->resolve_seqlen(run.eval.seqlen);
  options.seed = run.calibration.seed;
  const std::string& dataset = run.calibration.dataset;
  const CalibrationKey key{dataset,          run.eval.data_dir, run.eval.text_key,
                           options.nsamples, options.seqlen,    options.seed};
  const auto found = calibrations_.find(key);
  if (found != calibrations_.end()) return found->second;
  text::CalibrationSet set = draw(dataset, data_settings(run.eval), options);
  check_windows(set.windows, session_->model.spec(), dataset);
  return calibrations_.emplace(key, std::move(set)).first->second;
}

text::CalibrationSet Workbench::draw(const std::string& dataset, const text::DataSettings& data,
                                     const text::CalibrationOptions& options) {
  if (session_->is_random() && !is_recorded(dataset)) {
    options.validate();
    text::CalibrationSet set;
    set.dataset = "random token ids";
    set.windows = text::random_windows(session_->model.spec().vocab, options.nsamples,
                                       options.seqlen, options.seed);
    return set;
  }
  return text::draw_calibration(dataset, data, tokenizer_for({dataset}), options);
}

Workbench::EvalKey Workbench::key_of(const EvalOptions& options) const {
  std::vector<std::string> sets = options.sets;
  // No text has a meaning for random weights; recorded windows are scored as they are.
  if (session_->is_random()) {
    std::erase_if(sets, [](const std::string& set) { return !is_recorded(set); });
  }
  return {std::move(sets), options.data_dir, options.text_key,
          session_->resolve_seqlen(options.seqlen), options.max_windows};
}

const std::vector<text::EvalSet>& Workbench::eval_sets(const EvalOptions& options) {
  ensure(session_ != nullptr, "pipeline: evaluation sets were asked for before a model was opened");
  const EvalKey key = key_of(options);
  const auto found = eval_sets_.find(key);
  if (found != eval_sets_.end()) return found->second;
  EvalOptions wanted = options;
  wanted.sets = std::get<0>(key);
  auto sets = load_eval_sets(wanted, *session_, tokenizer_for(wanted.sets));
  return eval_sets_.emplace(key, std::move(sets)).first->second;
}

namespace {

/// What rank 0 recalled, on every rank.
std::optional<DenseEvaluation> told_dense(const ranks::World& world,
                                          std::optional<DenseEvaluation> recalled) {
  if (world.alone()) return recalled;
  ranks::Message message;
  if (recalled) {
    message.value = nlohmann::json::array();
    for (std::size_t i = 0; i < recalled->states.size(); ++i) {
      const eval::FinalStates& states = recalled->states[i];
      message.value.push_back({to_json(recalled->figures[i]), states.token_sha256});
      message.tensors.insert(message.tensors.end(), {states.states, states.head});
    }
  }
  message = ranks::broadcast(world, std::move(message), 0);
  if (message.value.is_null() || recalled) return recalled;
  DenseEvaluation told;
  for (std::size_t i = 0; i < message.value.size(); ++i) {
    told.figures.push_back(report::figures_from_json(message.value[i][0]));
    told.states.push_back(
        {message.tensors[2 * i], message.value[i][1], message.tensors[2 * i + 1]});
  }
  return told;
}

}  // namespace

DenseEvaluation Workbench::evaluate_dense(const std::vector<text::EvalSet>& sets, bool keep_head,
                                          report::Events& events) {
  DenseEvaluation dense;
  dense.figures.reserve(sets.size());
  for (const text::EvalSet& set : sets) {
    const StateExchange exchange{
        .keep = &dense.states.emplace_back(), .keep_head = keep_head, .world = session_->world};
    dense.figures.push_back(
        score(session_->model, set, session_->placement, "dense", events, exchange));
  }
  session_->model.release_ends();
  return dense;
}

const DenseEvaluation& Workbench::dense_evaluation(const EvalOptions& options, bool keep_head,
                                                   journal::RunJournal* journal,
                                                   report::Events& events) {
  const std::vector<text::EvalSet>& sets = eval_sets(options);
  const EvalKey key = key_of(options);
  const auto found = dense_evaluations_.find({key, keep_head});
  if (found != dense_evaluations_.end()) return found->second;
  if (shared_journal_ != nullptr) journal = shared_journal_;
  const std::string record = dense_record(sets, session_->placement, keep_head);
  std::optional<DenseEvaluation> dense;
  if (journal != nullptr) dense = recall_dense(*journal, record);
  dense = told_dense(session_->world, std::move(dense));
  if (!dense) {
    dense = evaluate_dense(sets, keep_head, events);
    if (journal != nullptr && !sets.empty()) keep_dense(*journal, record, *dense);
  }
  return dense_evaluations_.emplace(std::pair(key, keep_head), std::move(*dense)).first->second;
}

std::shared_future<std::string> Workbench::weights_sha256(const ModelOptions& model) {
  const formats::ModelLocation location = formats::locate_model(model.model);
  auto& hash = hashes_[location.path.string()];
  if (hash.valid()) return hash;
  const ranks::World& world = model.world;
  const bool told = model.broadcast_weights && !world.alone();
  std::shared_future<std::string> made;
  if (!told || world.leads()) {
    made = std::async(std::launch::async,
                      [location] { return formats::weight_files_sha256(location); });
  }
  if (!told) return hash = made;
  return hash = std::async(std::launch::deferred, [world, made]() -> std::string {
           return ranks::broadcast(world, nlohmann::json(made.valid() ? made.get() : ""), 0);
         });
}

PreparedRun Workbench::prepare(const CompressRun& run, report::Events& events) {
  run.validate();
  Session& opened = session(run.model);
  const std::int64_t linears = check_run(run, opened);
  PreparedRun prepared{opened, calibration(run), eval_sets(run.eval), linears};
  prepared.memory = plan_memory(run, prepared);
  tell_plan(run, prepared, events);
  return prepared;
}

}  // namespace sgpt_mi::pipeline

#include "resume.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/run.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/session/session.h"

namespace sgpt_mi::pipeline {
namespace {

using journal::Progress;
using journal::RunJournal;

/// Of the running program: another build may round otherwise.
std::string program_sha256() {
  const io::MappedFile program("/proc/self/exe");
  Sha256 hash;
  hash.update(program.bytes());
  return hash.hex_digest();
}

/// What is known of a run before anything is read.
nlohmann::json settings_identity(const CompressRun& run, const report::RunReport& report) {
  return {{"version", report.version},
          {"program_sha256", program_sha256()},
          {"settings", run.settings}};
}

nlohmann::json identity_of(const CompressRun& run, const report::RunReport& report) {
  nlohmann::json identity = settings_identity(run, report);
  identity["model_sha256"] = report.model.sha256;
  identity["token_sha256"] = report.calibration->token_sha256;
  identity["dtype"] = report.calibration->dtype;
  return identity;
}

std::string percent(const Progress& progress) {
  return fmt::format("{:.0f} %", 100.0 * progress.share);
}

/// An argument as a POSIX shell takes it.
std::string quoted(const std::string& argument) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string command_to_go_on(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& argument : command) text += quoted(argument) + " ";
  return text + "--resume";
}

std::string unfinished_text(const Progress& progress) {
  return fmt::format("{} holds an unfinished run, {} of its work done", progress.folder.string(),
                     percent(progress));
}

bool is_same(const RunJournal& journal, const nlohmann::json& identity) {
  try {
    journal.require_same(identity);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    return false;
  }
}

}  // namespace

std::string interrupted_text(const Progress& progress) {
  return fmt::format("interrupted; {} of the work is kept in {}; this goes on: {}",
                     percent(progress), progress.folder.string(),
                     command_to_go_on(progress.command));
}

std::optional<std::string> unfinished_run(const std::string& target) {
  const std::optional<Progress> found = RunJournal::progress_of(target);
  return found ? std::optional(unfinished_text(*found)) : std::nullopt;
}

void refuse_unfinished(const RunJournal& journal, Unfinished unfinished) {
  const std::optional<Progress> found = journal.progress();
  if (!found || unfinished != Unfinished::kRefuse) return;
  fail(ErrorKind::kUsage, "resume: {}; go on with --resume, or remove it: rm -r {}",
       unfinished_text(*found), quoted(found->folder.string()));
}

std::unique_ptr<RunJournal> open_journal(const CompressRun& run, const report::RunReport& report) {
  if (run.journal.empty()) return nullptr;
  auto journal = std::make_unique<RunJournal>(run.journal);
  refuse_unfinished(*journal, run.unfinished);
  if (run.unfinished == Unfinished::kGoOn && journal->progress()) {
    journal->require_same(settings_identity(run, report));
  }
  return journal;
}

void begin_or_go_on(RunJournal& journal, const nlohmann::json& identity,
                    const std::vector<std::string>& command, std::int64_t steps) {
  if (journal.progress() && is_same(journal, identity)) return journal.go_on();
  journal.begin(identity, command, steps);
}

void start_journal(RunJournal& journal, const CompressRun& run, report::RunReport& report,
                   report::Events& events) {
  const nlohmann::json identity = identity_of(run, report);
  const std::optional<Progress> found = journal.progress();
  if (found && run.unfinished == Unfinished::kGoOn) journal.require_same(identity);
  begin_or_go_on(journal, identity, report.command, report.model.layers * model::kSites);
  const std::optional<Progress> kept = journal.progress();
  if (!kept) return;
  report.command = kept->command;
  events.plan(fmt::format("resume     {} of the work is kept in {}", percent(*kept),
                          kept->folder.string()));
}

void require_same_run(const Session& session, const report::RunReport& report,
                      const nlohmann::json& settings) {
  if (session.world.alone()) return;
  nlohmann::json texts = nlohmann::json::array();
  for (const report::PerplexityReport& set : report.perplexity) texts.push_back(set.token_sha256);
  if (report.calibration) texts.push_back(report.calibration->token_sha256);
  nlohmann::json run = session.arithmetic();
  run.update({{"program", program_sha256()},
              {"model", report.model.sha256},
              {"text", texts},
              {"setting", settings}});
  ranks::require_alike(session.world, run);
}

std::string dense_record(const std::vector<text::EvalSet>& sets, const model::Placement& placement,
                         bool keep_head) {
  nlohmann::json key{session::scalar_type_name(placement.dtype), keep_head};
  for (const text::EvalSet& set : sets) key.push_back({set.name, set.windows.sha256()});
  return "dense-" + sha256_hex(key.dump()).substr(0, 12);
}

void keep_dense(RunJournal& journal, const std::string& record, const DenseEvaluation& dense) {
  nlohmann::json sets = nlohmann::json::array();
  std::vector<containers::TensorData> tensors;
  for (std::size_t i = 0; i < dense.states.size(); ++i) {
    const eval::FinalStates& states = dense.states[i];
    sets.push_back({{"figures", to_json(dense.figures[i])}, {"token_sha256", states.token_sha256}});
    tensors.push_back(model::to_tensor_data(fmt::format("states-{}", i), states.states));
    if (!states.head.defined()) continue;
    tensors.push_back(model::to_tensor_data(fmt::format("head-{}", i), states.head));
  }
  journal.keep(record, std::move(sets), tensors);
}

std::optional<DenseEvaluation> recall_dense(const RunJournal& journal, const std::string& record) {
  const std::optional<nlohmann::json> sets = journal.find(record);
  const auto tensors = journal.tensors(record);
  if (!sets || tensors == nullptr) return std::nullopt;
  DenseEvaluation dense;
  for (std::size_t i = 0; i < sets->size(); ++i) {
    const nlohmann::json& set = sets->at(i);
    const std::string head = fmt::format("head-{}", i);
    dense.figures.push_back(report::figures_from_json(set.at("figures")));
    eval::FinalStates& states = dense.states.emplace_back();
    states.states = model::to_torch(tensors->read(fmt::format("states-{}", i)));
    states.token_sha256 = set.at("token_sha256");
    if (tensors->find(head) != nullptr) states.head = model::to_torch(tensors->read(head));
  }
  return dense;
}

}  // namespace sgpt_mi::pipeline

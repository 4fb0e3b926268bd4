#include "resume.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/run.h"

namespace sgpt_mi::pipeline {
namespace {

using journal::Progress;
using journal::RunJournal;

/// What is known of a run before anything is read.
nlohmann::json settings_identity(const CompressRun& run, const report::RunReport& report) {
  return {{"version", report.version}, {"settings", run.settings}};
}

nlohmann::json identity_of(const CompressRun& run, const report::RunReport& report) {
  nlohmann::json identity = settings_identity(run, report);
  identity["model_sha256"] = report.model.sha256;
  identity["token_sha256"] = report.calibration->token_sha256;
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
  return fmt::format("{} holds an unfinished run, {} of its blocks done", progress.folder.string(),
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
  return fmt::format("interrupted; {} of the blocks are kept in {}; this goes on: {}",
                     percent(progress), progress.folder.string(),
                     command_to_go_on(progress.command));
}

std::optional<std::string> unfinished_run(const std::string& target) {
  const std::optional<Progress> found = RunJournal::progress_of(target);
  return found ? std::optional(unfinished_text(*found)) : std::nullopt;
}

std::unique_ptr<RunJournal> open_journal(const CompressRun& run, const report::RunReport& report) {
  if (run.journal.empty()) return nullptr;
  auto journal = std::make_unique<RunJournal>(run.journal);
  const std::optional<Progress> found = journal->progress();
  if (!found) return journal;
  if (run.unfinished == Unfinished::kRefuse) {
    fail(ErrorKind::kUsage, "save: {}; go on with --resume, or remove it: rm -r {}",
         unfinished_text(*found), quoted(found->folder.string()));
  }
  if (run.unfinished == Unfinished::kGoOn) journal->require_same(settings_identity(run, report));
  return journal;
}

void start_journal(RunJournal& journal, const CompressRun& run, report::RunReport& report,
                   report::Events& events) {
  const nlohmann::json identity = identity_of(run, report);
  const std::optional<Progress> found = journal.progress();
  if (found && run.unfinished == Unfinished::kGoOn) journal.require_same(identity);
  if (!found || !is_same(journal, identity)) {
    return journal.begin(identity, report.command, report.model.layers * model::kSites);
  }
  journal.go_on();
  report.command = found->command;
  events.plan(fmt::format("resume     {} of the blocks are kept in {}", percent(*found),
                          found->folder.string()));
}

}  // namespace sgpt_mi::pipeline

#include "commands.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "console.h"
#include "download_line.h"
#include "output_places.h"
#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/convert/export.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/flags/arguments.h"
#include "sgpt_mi/flags/version.h"
#include "sgpt_mi/inspect/inspect.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/pipeline/run.h"
#include "sgpt_mi/report/statistics.h"
#include "sgpt_mi/session/session.h"
#include "sgpt_mi/walk/trace.h"
#include "type_settings.h"

namespace sgpt_mi::cli {
namespace {

void write_report(const std::string& path, const nlohmann::ordered_json& json) {
  if (!path.empty()) io::write_file_atomic(path, io::json_text(json));
}

/// A run that was resumed is the run that it went on with.
std::vector<std::string> without_resume(const std::vector<std::string>& command_line) {
  std::vector<std::string> command;
  std::copy_if(command_line.begin(), command_line.end(), std::back_inserter(command),
               [](const std::string& argument) { return !argument.starts_with("--resume"); });
  return command;
}

report::RunReport start_report(const flags::ResolvedSettings& settings,
                               const std::vector<std::string>& command_line) {
  report::RunReport report;
  report.version = flags::kVersion;
  report.command = without_resume(command_line);
  report.config = flags::config_values(settings);
  return report;
}

void show(const report::RunReport& report, const flags::Settings& typed) {
  print_out(result_table(report));
  const bool has_groups = std::any_of(report.layers.begin(), report.layers.end(),
                                      [](const auto& layer) { return !layer.groups.empty(); });
  if (has_groups) print_out("\n" + report::statistics_text(report));
  write_report(typed.report, to_json(report));
}

/// Whether the user at the terminal wants something; a pipe has nobody to ask.
bool agrees(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) return false;
  std::cerr << shown(question) << " [Y/n] " << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  return answer.empty() || answer.front() == 'y' || answer.front() == 'Y';
}

/// What becomes of an unfinished run at a place: asks where nothing was typed.
pipeline::Unfinished ask_to_resume(const std::string& place, pipeline::Unfinished typed) {
  if (place.empty() || typed != pipeline::Unfinished::kRefuse) return typed;
  const std::optional<std::string> found = pipeline::unfinished_run(place);
  return found && agrees(*found + "; go on with it?") ? pipeline::Unfinished::kGoOn : typed;
}

/// What a rank that does not lead does of a compression or an evaluation; it shows nothing.
void follow(const flags::ResolvedSettings& settings, const std::vector<std::string>& command_line,
            const ranks::World& world) {
  report::Events silent;
  report::RunReport report = start_report(settings, command_line);
  if (settings.command == "compress") {
    pipeline::CompressRun run = to_compress_run(settings);
    run.model.world = world;
    static_cast<void>(pipeline::run_compress(run, silent, std::move(report)));
  } else if (settings.command == "eval") {
    pipeline::EvalRun run = to_eval_run(settings);
    run.model.world = world;
    static_cast<void>(pipeline::run_eval(run, silent, std::move(report)));
  }
}

/// Refuses a command that several processes would each run whole.
void require_shared(const flags::ResolvedSettings& settings, const ranks::World& world) {
  constexpr std::array<std::string_view, 2> kShared{"compress", "eval"};
  const bool shared = std::find(kShared.begin(), kShared.end(), settings.command) != kShared.end();
  if (world.alone() || shared) return;
  fail(ErrorKind::kUsage,
       "ranks: {} runs in one process, and {} were started; start it without mpirun",
       settings.command, world.size());
}

void run_compress(const flags::ResolvedSettings& settings,
                  const std::vector<std::string>& command_line, const ranks::World& world) {
  pipeline::CompressRun run = to_compress_run(settings);
  run.model.world = world;
  run.unfinished = ask_to_resume(run.journal, run.unfinished);
  Console console(settings.values.quiet);
  show(pipeline::run_compress(run, console, start_report(settings, command_line)), settings.values);
}

/// Whether a flag or a file says what a compression has to reach.
bool has_goal(const flags::ResolvedSettings& settings) {
  constexpr std::array<const char*, 10> kGoals{"sparsity",       "pattern",  "prunen",
                                               "prunem",         "wbits",    "target_avg_bits",
                                               "attention_bits", "ffn_bits", "target_stored_bits",
                                               "target_bytes"};
  return std::any_of(kGoals.begin(), kGoals.end(),
                     [&](const char* goal) { return settings.given(goal); });
}

/// A plan that is not told what for is made for the usual goal, and says so.
void run_plan(flags::ResolvedSettings settings) {
  Console console(settings.values.quiet);
  if (!has_goal(settings)) {
    settings.values.sparsity = 0.5;
    settings.values.wbits = 4;
    for (const char* goal : {"sparsity", "wbits"}) settings.origins[goal] = flags::Origin::kDefault;
    console.plan("goal       none given: this is the plan for --sparsity 0.5 --wbits 4");
  }
  pipeline::CompressRun run = to_compress_run(settings);
  if (settings.values.ranks < 0 || settings.values.ranks > 4096) {
    fail(ErrorKind::kUsage, "ranks: {} is not in 0..4096 (0: one process)", settings.values.ranks);
  }
  run.model.planned_ranks = settings.values.ranks;
  pipeline::plan_compress(run, console);
}

void run_eval(const flags::ResolvedSettings& settings, const std::vector<std::string>& command_line,
              const ranks::World& world) {
  pipeline::EvalRun run = to_eval_run(settings);
  run.model.world = world;
  Console console(settings.values.quiet);
  show(pipeline::run_eval(run, console, start_report(settings, command_line)), settings.values);
}

void run_inspect(const flags::ResolvedSettings& settings) {
  const inspect::ModelSummary summary = inspect::inspect_model(model_of(settings.values));
  print_out(to_text(summary));
  write_report(settings.values.report, to_json(summary));
}

void run_compare(const flags::ResolvedSettings& settings,
                 const std::vector<std::string>& command_line) {
  pipeline::CompareRun run = to_compare_run(settings);
  run.command = without_resume(command_line);
  run.unfinished = ask_to_resume(run.journal, run.unfinished);
  Console console(settings.values.quiet);
  report::ComparisonReport start;
  start.version = flags::kVersion;
  start.model = settings.values.model;
  start.dataset = settings.values.dataset;
  start.settings = flags::config_values(settings);
  if (run.journal.empty()) {
    console.warning("the working folder cannot be written: a comparison that ends early is lost");
  }
  pipeline::run_compare(run, console, std::move(start), [&](const auto& result) {
    print_out(comparison_text(result));
    write_report(settings.values.report, to_json(result));
  });
}

void run_export(const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  const formats::Format& format = typed.format == "auto"
                                      ? formats::format_for(typed.output, /*holds_codes=*/false)
                                      : formats::find_format(typed.format);
  if (typed.output.empty()) {
    fail(ErrorKind::kUsage, "export: nowhere to write; give -o DIR, or -o FILE of one in a file");
  }
  Console console(typed.quiet);
  convert::export_model(
      model_of(typed),
      {typed.output, format, parse_bytes(typed.shard_bytes), export_types(typed, format)}, console);
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

void run_tokenize(const flags::ResolvedSettings& settings) {
  const auto tokenizer = session::open_tokenizer(model_of(settings.values));
  const std::string& file = settings.values.file;
  const std::string text = file == "-" ? read_standard_input() : documents::read_text_file(file);
  documents::require_utf8(text, file == "-" ? "standard input" : file);
  const std::vector<std::int32_t> ids = tokenizer->encode(text, !settings.values.no_special);
  const nlohmann::ordered_json json{
      {"ids", ids}, {"count", ids.size()}, {"sha256", token_sha256(ids)}};
  print_out(json.dump() + "\n");
}

/// Runs `command`; what it recorded until its end or its failure goes to --trace FILE.
template <typename Command>
void traced(const std::string& file, const Command& command) {
  if (file.empty()) return command();
  const walk::Trace trace;
  try {
    command();
  } catch (const std::exception&) {
    try {
      trace.write(file);
    } catch (const Error& second) {  // what ended the command is the error to report
      spdlog::warn("warning: {}", second.what());
    }
    throw;
  }
  trace.write(file);
}

}  // namespace

void run_command(const flags::ResolvedSettings& settings,
                 const std::vector<std::string>& command_line, const ranks::World& world) {
  const bool quiet = settings.values.quiet || !world.leads();
  set_up_logging(quiet, settings.values.verbose);
  DownloadLine download(quiet);
  hub::set_up({.offline = settings.values.offline,
               .progress = [&](const hub::Progress& progress) { download.show(progress); },
               .warn = [&](const std::string& line) { download.warn(line); }});
  require_shared(settings, world);
  if (world.leads() && !settings.values.print_config) check_output_places(settings.values);
  if (!world.leads()) {
    if (!settings.values.print_config) follow(settings, command_line, world);
  } else if (settings.values.print_config) {
    print_out(flags::config_with_origins(settings).dump(2) + "\n");
  } else if (settings.command == "compress") {
    traced(settings.values.trace, [&] { run_compress(settings, command_line, world); });
  } else if (settings.command == "plan") {
    traced(settings.values.trace, [&] { run_plan(settings); });
  } else if (settings.command == "eval") {
    traced(settings.values.trace, [&] { run_eval(settings, command_line, world); });
  } else if (settings.command == "sweep") {
    traced(settings.values.trace, [&] { run_sweep_command(settings, command_line); });
  } else if (settings.command == "compare") {
    traced(settings.values.trace, [&] { run_compare(settings, command_line); });
  } else if (settings.command == "export") {
    run_export(settings);
  } else if (settings.command == "inspect") {
    run_inspect(settings);
  } else {
    run_tokenize(settings);
  }
}

}  // namespace sgpt_mi::cli

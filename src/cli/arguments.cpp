#include "sgpt_mi/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <array>
#include <cstdlib>

#include "sgpt_mi/cli/flag_table.h"
#include "sgpt_mi/cli/version.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"

namespace sgpt_mi::cli {
namespace {

/// What stands after the subcommand's name, in this order.
enum Positional : unsigned { kModelFirst = 1U, kThenDataset = 2U, kThenFile = 4U, kGridFile = 8U };

struct CommandRow {
  const char* name;
  Command bit;
  const char* help;
  unsigned positionals;
};

constexpr std::array<CommandRow, 8> kCommands{
    {{"compress", kCompress, "calibrate, compress block by block, evaluate, save",
      kModelFirst | kThenDataset},
     {"eval", kEval, "perplexity of a dense or a compressed model", kModelFirst},
     {"compare", kCompare, "compress with several methods on the same data, one table, pictures",
      kModelFirst | kThenDataset},
     {"sweep", kSweep, "compress with every combination of flags in a file, resumable", kGridFile},
     {"plan", kPlan, "check everything a compress would need, and do nothing",
      kModelFirst | kThenDataset},
     {"inspect", kInspect, "tensors, types, bytes by part, statistics of a compressed model",
      kModelFirst},
     {"export", kExport, "write a compressed model as dense tensors for other programs",
      kModelFirst},
     {"tokenize", kTokenize, "ids of a text as JSON {ids, count, sha256}",
      kModelFirst | kThenFile}}};

constexpr const char* kModelHelp =
    "folder, GGUF file, or Hub id in the local Hugging Face cache (facebook/opt-125m)";
constexpr const char* kGridHelp =
    "JSON file with model, dataset, out, base, grid (configs/ablation_*)";
constexpr const char* kDatasetHelp =
    "wikitext2, ptb, c4, a mix c4:64,ptb:64, a file (text, jsonl, jsonl.gz, parquet) or recorded "
    "windows (.safetensors)";

const CommandRow& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandRow& row : kCommands) {
    if (name == row.name) return row;
    names.emplace_back(row.name);
  }
  const std::string nearest = nearest_name(name, names);
  fail(ErrorKind::kUsage, "unknown subcommand '{}'; {}", name,
       nearest.empty() ? "see sgpt-mi --help" : "did you mean '" + nearest + "'?");
}

/// "--target-avg-bits=4" -> "--target_avg_bits=4"; other arguments stay as they are.
std::string normalise_flag(const std::string& argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  std::string result = argument;
  const std::size_t end = std::min(result.find('='), result.size());
  std::replace(result.begin() + 2, result.begin() + static_cast<std::ptrdiff_t>(end), '-', '_');
  return result;
}

void refuse_unknown_flags(const std::vector<std::string>& arguments, const CommandRow& command) {
  std::vector<std::string> known{"help"};
  for (const FlagRow* row : flags_of(command.bit)) known.emplace_back(row->key);
  for (const std::string& argument : arguments) {
    if (argument.rfind("--", 0) != 0 || argument == "--") continue;
    const std::string name = argument.substr(2, argument.find('=') - 2);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = nearest_name(name, known);
    fail(ErrorKind::kUsage, "{}: unknown flag --{}; {}", command.name, name,
         nearest.empty() ? std::string("see sgpt-mi ") + command.name + " --help"
                         : "did you mean --" + nearest + "?");
  }
}

/// Describes one subcommand to CLI11 with `settings` as its targets.
void declare(CLI::App& app, const CommandRow& command, Settings& settings) {
  const auto takes = [&](Positional which) { return (command.positionals & which) != 0; };
  if (takes(kModelFirst)) app.add_option("MODEL", settings.model, kModelHelp)->required();
  if (takes(kThenDataset)) app.add_option("DATASET", settings.dataset, kDatasetHelp)->required();
  if (takes(kThenFile)) app.add_option("FILE", settings.file, "a text file; -: standard input");
  if (takes(kGridFile)) app.add_option("CONFIG", settings.grid, kGridHelp)->required();
  for (const FlagRow* row : flags_of(command.bit)) {
    // The one flag with a short form is the customary -o.
    const bool is_output = std::string_view(row->key) == "output";
    const std::string name = std::string(is_output ? "-o,--" : "--") + row->key;
    std::visit(
        [&](auto member) {
          using T = std::remove_reference_t<decltype(settings.*member)>;
          CLI::Option* option = nullptr;
          if constexpr (std::is_same_v<T, bool>) {
            option = app.add_flag(name, settings.*member, row->help);
          } else {
            option = app.add_option(name, settings.*member, row->help);
            option->type_name(row->value)->capture_default_str();
          }
          if constexpr (std::is_same_v<T, std::uint64_t>) option->check(CLI::NonNegativeNumber);
          option->group(row->group)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
        },
        row->target);
  }
}

void apply_environment(ResolvedSettings& resolved) {
  const char* data_dir = std::getenv("SGPT_MI_DATA");
  if (data_dir == nullptr || *data_dir == '\0') return;
  resolved.values.data_dir = data_dir;
  resolved.origins["data_dir"] = Origin::kEnvironment;
}

void apply_config_file(ResolvedSettings& resolved, const CommandRow& command,
                       const std::string& path) {
  const auto json = nlohmann::json::parse(documents::read_text_file(path), nullptr, false);
  if (!json.is_object()) fail(ErrorKind::kInput, "config: {} is not a JSON object", path);
  std::vector<std::string> known;
  for (const FlagRow& row : flag_table()) {
    if (row.in_config) known.emplace_back(row.key);
  }
  for (const auto& [written, value] : json.items()) {
    const std::string key = normalise_flag("--" + written).substr(2);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      const std::string nearest = nearest_name(key, known);
      fail(ErrorKind::kUsage, "config: {}: unknown key '{}'{}", path, written,
           nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
    }
    // A file may serve several subcommands: keys of the others are checked, not used.
    for (const FlagRow& row : flag_table()) {
      if (key != row.key) continue;
      set_flag(resolved.values, row, value);
      if ((row.commands & command.bit) != 0) resolved.origins[key] = Origin::kFile;
    }
  }
}

/// Copies the flags that were typed over the environment and the file.
void apply_flags(ResolvedSettings& resolved, const CLI::App& app, const CommandRow& command,
                 const Settings& typed) {
  for (const FlagRow* row : flags_of(command.bit)) {
    if (app.count(std::string("--") + row->key) == 0) continue;
    std::visit([&](auto member) { resolved.values.*member = typed.*member; }, row->target);
    resolved.origins[row->key] = Origin::kFlag;
  }
  resolved.values.model = typed.model;
  resolved.values.dataset = typed.dataset;
  resolved.values.file = typed.file;
  resolved.values.grid = typed.grid;
}

std::string general_help() {
  std::string text =
      "sgpt-mi " + std::string(kVersion) +
      ": prunes and quantizes OPT and LLaMA-family models in one pass\n\nUsage: sgpt-mi "
      "SUBCOMMAND ...\n\nSubcommands:\n";
  for (const CommandRow& row : kCommands) text += fmt::format("  {:<10}{}\n", row.name, row.help);
  text += "\nsgpt-mi SUBCOMMAND --help lists its flags. '-' and '_' are the same in their names.\n";
  return text;
}

/// CLI11's message, with the help of the flag it is about.
std::string explain(const CLI::ParseError& error, const CommandRow& command) {
  std::string text = error.what();
  for (const FlagRow* row : flags_of(command.bit)) {
    const std::string name = std::string("--") + row->key;
    const std::size_t at = text.find(name);
    if (at == std::string::npos) continue;
    const std::size_t end = at + name.size();
    if (end < text.size() &&
        (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
      continue;
    }
    return fmt::format("{} ({} {}: {})", text, name, row->value, row->help);
  }
  return text;
}

}  // namespace

ParsedArguments parse_arguments(const std::vector<std::string>& arguments) {
  ParsedArguments parsed;
  if (arguments.empty()) fail(ErrorKind::kUsage, "no subcommand; see sgpt-mi --help");
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    parsed.text = general_help();
    return parsed;
  }
  if (arguments[0] == "--version") {
    parsed.text = std::string(kVersion) + "\n";
    return parsed;
  }
  const CommandRow& command = find_command(arguments[0]);
  std::vector<std::string> rest;
  for (std::size_t i = 1; i < arguments.size(); ++i) rest.push_back(normalise_flag(arguments[i]));
  refuse_unknown_flags(rest, command);

  Settings typed;
  CLI::App app(command.help, std::string("sgpt-mi ") + command.name);
  declare(app, command, typed);
  std::reverse(rest.begin(), rest.end());  // CLI11 takes a vector as a stack
  try {
    app.parse(rest);
  } catch (const CLI::CallForHelp&) {
    parsed.text = app.help();
    return parsed;
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::kUsage, "{}: {}", command.name, explain(error, command));
  }
  parsed.settings.command = command.name;
  apply_environment(parsed.settings);
  if (!typed.config.empty()) apply_config_file(parsed.settings, command, typed.config);
  apply_flags(parsed.settings, app, command, typed);
  if (parsed.settings.values.quiet && parsed.settings.values.verbose) {
    fail(ErrorKind::kUsage, "--quiet and --verbose contradict each other");
  }
  return parsed;
}

nlohmann::ordered_json config_values(const ResolvedSettings& settings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const FlagRow* row : flags_of(find_command(settings.command).bit)) {
    if (row->in_config) json[row->key] = flag_value(settings.values, *row);
  }
  return json;
}

nlohmann::ordered_json config_with_origins(const ResolvedSettings& settings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const nlohmann::ordered_json values = config_values(settings);
  for (const auto& [key, value] : values.items()) {
    const auto found = settings.origins.find(key);
    const Origin origin = found == settings.origins.end() ? Origin::kDefault : found->second;
    json[key] = {{"value", value}, {"from", origin_name(origin)}};
  }
  return json;
}

}  // namespace sgpt_mi::cli

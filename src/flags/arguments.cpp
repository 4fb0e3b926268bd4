#include "sgpt_mi/flags/arguments.h"

#include <spdlog/fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "command_table.h"
#include "completion.h"
#include "help.h"
#include "manual_page.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/flags/flag_table.h"
#include "sgpt_mi/flags/version.h"

namespace sgpt_mi::flags {
namespace {

/// "--target-avg-bits=4" -> "--target_avg_bits=4"; other arguments stay as they are.
std::string normalise_flag(const std::string& argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  std::string result = argument;
  const std::size_t end = std::min(result.find('='), result.size());
  std::replace(result.begin() + 2, result.begin() + static_cast<std::ptrdiff_t>(end), '-', '_');
  return result;
}

void refuse_unknown_flags(const std::vector<std::string>& arguments, const CommandRow& command) {
  std::vector<std::string> known{"help", "help_all"};
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

CLI::Validator not_negative() {
  return {[](const std::string& text) {
            return text.starts_with('-') ? text + " is not a number of 0 or more" : std::string();
          },
          ""};
}

/// Describes one subcommand to CLI11 with `settings` as its targets.
void declare(CLI::App& app, const CommandRow& command, Settings& settings) {
  app.set_help_all_flag("--help_all");
  for (const Positional& word : command.positionals) {
    app.add_option(word.value, settings.*word.target)->required(word.required);
  }
  for (const FlagRow* row : flags_of(command.bit)) {
    const std::string name = fmt::format("{}", fmt::join(flag_names(*row), ","));
    std::visit(
        [&](auto member) {
          using T = std::remove_reference_t<decltype(settings.*member)>;
          CLI::Option* option = nullptr;
          if constexpr (std::is_same_v<T, bool>) {
            option = app.add_flag(name, settings.*member);
          } else {
            option = app.add_option(name, settings.*member)->type_name(row->value);
          }
          if constexpr (std::is_same_v<T, std::uint64_t>) option->check(not_negative());
          option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
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
  for (const Positional& word : command.positionals) {
    resolved.values.*word.target = typed.*word.target;
  }
}

/// An unset variable of a shell script is not a wish for the default.
void refuse_empty_values(const CLI::App& app, const CommandRow& command) {
  for (const FlagRow* row : flags_of(command.bit)) {
    const std::string name = std::string("--") + row->key;
    if (std::holds_alternative<bool Settings::*>(row->target)) continue;
    const std::vector<std::string>& values = app.get_option(name)->results();
    if (app.count(name) == 0 || !values.back().empty()) continue;
    fail(ErrorKind::kUsage, "{}: {} has an empty value; give one or leave the flag out ({})",
         command.name, name, row->help);
  }
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

/// What the program prints for a word that stands where a subcommand may stand.
std::optional<std::string> text_of(const std::string& word) {
  if (word == "--help" || word == "-h" || word == "help") return general_help();
  if (word == "--version") return std::string(kVersion) + "\n";
  if (word == "--man") return manual_page();
  return std::nullopt;
}

}  // namespace

ParsedArguments parse_arguments(const std::vector<std::string>& arguments) {
  ParsedArguments parsed;
  if (arguments.empty()) fail(ErrorKind::kUsage, "no subcommand; see sgpt-mi --help");
  parsed.text = text_of(arguments[0]);
  if (parsed.text) return parsed;
  const CommandRow& command = find_command(arguments[0]);
  std::vector<std::string> rest;
  for (std::size_t i = 1; i < arguments.size(); ++i) rest.push_back(normalise_flag(arguments[i]));
  refuse_unknown_flags(rest, command);

  Settings typed;
  CLI::App app("", std::string("sgpt-mi ") + command.name);
  declare(app, command, typed);
  std::reverse(rest.begin(), rest.end());  // CLI11 takes a vector as a stack
  try {
    app.parse(rest);
  } catch (const CLI::CallForHelp&) {
    parsed.text = command_help(command, HelpExtent::kCommon);
    return parsed;
  } catch (const CLI::CallForAllHelp&) {
    parsed.text = command_help(command, HelpExtent::kAll);
    return parsed;
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::kUsage, "{}: {}", command.name, explain(error, command));
  }
  refuse_empty_values(app, command);
  if (command.bit == kCompletion) {
    parsed.text = completion_script(typed.shell);
    return parsed;
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

}  // namespace sgpt_mi::flags

#include "completion.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "command_table.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::flags {
namespace {

constexpr std::array<const char*, 3> kProgramFlags{"--help", "--version", "--man"};
constexpr std::array<const char*, 2> kCommandFlags{"--help", "--help-all"};

/// Words that stand for a file, or for a folder that holds a model.
constexpr std::array<std::string_view, 4> kFileWords{"FILE", "MODEL", "DATASET", "CONFIG"};

/// With a backslash before each of `letters`.
std::string with_backslashes(std::string_view text, std::string_view letters) {
  std::string result;
  for (const char letter : text) {
    if (letters.find(letter) != std::string_view::npos) result += '\\';
    result += letter;
  }
  return result;
}

std::vector<std::string> command_names(unsigned commands) {
  std::vector<std::string> names;
  for (const CommandRow& command : command_table()) {
    if ((commands & command.bit) != 0) names.emplace_back(command.name);
  }
  return names;
}

constexpr unsigned kEvery = ~0U;

/// What all positionals offer together, where it is not counted how many there were.
ValueOffer positional_offer(const CommandRow& command) {
  ValueOffer offer;
  for (const Positional& word : command.positionals) {
    const ValueOffer next = value_offer(word.value);
    offer.choices.insert(offer.choices.end(), next.choices.begin(), next.choices.end());
    offer.files = offer.files || next.files;
  }
  return offer;
}

// --- bash ----------------------------------------------------------------------------------------

constexpr const char* kBashHead =
    R"(# bash completion of sgpt-mi, printed by: sgpt-mi completion bash
_sgpt_mi() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local flags='' words='' kind=''
  if [[ $current == '=' ]]; then  # readline takes --flag=value apart
    current=''
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  # '-' and '_' are the same in the name of a flag.
  [[ $previous != --* ]] || previous=${previous//-/_} previous=${previous/#__/--}
)";

constexpr const char* kBashTail = R"(  [[ -z $kind ]] || compopt -o "$kind"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ ${#COMPREPLY[@]} == 0 && $current == --* ]]; then
    current=${current//-/_}
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${current/#__/--}")
  fi
}
complete -F _sgpt_mi sgpt-mi
)";

/// Where nothing that is offered fits, readline completes files or folders itself.
std::string bash_offer(const ValueOffer& offer) {
  const char* fallback = offer.folders ? "dirnames" : "";
  return fmt::format("words='{}' kind='{}'", fmt::join(offer.choices, " "),
                     offer.files ? "default" : fallback);
}

/// The flags that take a value, those with the same offer together.
std::vector<std::pair<ValueOffer, std::vector<std::string>>> flags_by_offer() {
  std::vector<std::pair<ValueOffer, std::vector<std::string>>> groups;
  for (const FlagRow& row : flag_table()) {
    if (*row.value == '\0') continue;
    const ValueOffer offer = value_offer(row.value);
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& group) { return group.first == offer; });
    if (found == groups.end()) found = groups.insert(found, {offer, {}});
    for (const std::string& name : flag_names(row)) found->second.push_back(name);
  }
  return groups;
}

std::string bash_command(const CommandRow& command) {
  std::vector<std::string> names(kCommandFlags.begin(), kCommandFlags.end());
  for (const FlagRow* row : flags_of(command.bit)) {
    for (const std::string& name : flag_names(*row)) names.push_back(name);
  }
  return fmt::format("      {})\n        flags='{}'\n        {}\n        ;;\n", command.name,
                     fmt::join(names, " "), bash_offer(positional_offer(command)));
}

std::string bash_script() {
  std::string script = kBashHead;
  script += fmt::format("  if ((COMP_CWORD == 1)); then\n    words='{} {}'\n  else\n",
                        fmt::join(command_names(kEvery), " "), fmt::join(kProgramFlags, " "));
  script += "    case ${COMP_WORDS[1]} in\n";
  for (const CommandRow& command : command_table()) script += bash_command(command);
  script += "    esac\n    case $previous in\n";
  for (const auto& [offer, names] : flags_by_offer()) {
    script += fmt::format("      {}) {} ;;\n", fmt::join(names, " | "), bash_offer(offer));
  }
  script += "      *) [[ $current != -* ]] || words=$flags kind='' ;;\n    esac\n  fi\n";
  return script + kBashTail;
}

// --- zsh -----------------------------------------------------------------------------------------

/// Inside single quotes.
std::string zsh_quoted(std::string_view text) {
  std::string result;
  for (const char letter : text) result += letter == '\'' ? "'\\''" : std::string(1, letter);
  return "'" + result + "'";
}

std::string zsh_action(const ValueOffer& offer) {
  const std::string choices = fmt::format("({})", fmt::join(offer.choices, " "));
  if (offer.files && !offer.choices.empty()) {
    return fmt::format(" _alternative \"values\\:value\\:{}\" \"files\\:file\\:_files\"", choices);
  }
  if (offer.files) return "_files";
  if (offer.folders) return "_files -/";
  return offer.choices.empty() ? " " : choices;
}

std::string zsh_value(std::string_view value) {
  return fmt::format(":{}:{}", with_backslashes(value, "\\:"), zsh_action(value_offer(value)));
}

/// The arguments of _arguments for one flag.
std::vector<std::string> zsh_flag(const FlagRow& row) {
  const bool takes_value = *row.value != '\0';
  std::vector<std::string> specs;
  for (const std::string& name : flag_names(row)) {
    const char* joint =
        name[1] == '-' ? "=" : "+";  // --flag value or --flag=value; -o value or -ovalue
    specs.push_back(zsh_quoted(fmt::format("{}{}[{}]{}", name, takes_value ? joint : "",
                                           with_backslashes(row.help, "\\[]:"),
                                           takes_value ? zsh_value(row.value) : "")));
  }
  return specs;
}

std::string zsh_command(const CommandRow& command) {
  std::vector<std::string> specs;
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    const Positional& word = command.positionals[i];
    specs.push_back(
        zsh_quoted(fmt::format("{}{}{}", i + 1, word.required ? "" : ":", zsh_value(word.value))));
  }
  for (const FlagRow* row : flags_of(command.bit)) {
    for (std::string& spec : zsh_flag(*row)) specs.push_back(std::move(spec));
  }
  specs.emplace_back("'--help[show the flags that people use]'");
  specs.emplace_back("'--help-all[show every flag]'");
  // '-' typed for '_' is taken for it; the rest is the default of _arguments.
  return fmt::format(
      "    {})\n      _arguments -M 'm:-=_ r:|[_-]=* r:|=*' \\\n        {}\n      ;;\n",
      command.name, fmt::join(specs, " \\\n        "));
}

constexpr const char* kZshHead = R"(#compdef sgpt-mi
# zsh completion of sgpt-mi, printed by: sgpt-mi completion zsh
_sgpt-mi() {
  if (( CURRENT == 2 )); then
    local -a subcommands=(
)";

constexpr const char* kZshMiddle = R"(    return
  fi
  local -i i
  for (( i = 3; i < CURRENT; i++ )); do  # '-' and '_' are the same in the name of a flag
    [[ $words[i] != --* ]] || words[i]=--${${words[i]#--}//-/_}
  done
  local subcommand=$words[2]
  shift words
  (( CURRENT-- ))
  case $subcommand in
)";

// Read as a function from $fpath, the file is the function's body; sourced, it registers itself.
constexpr const char* kZshTail = R"(  esac
}
if [[ $funcstack[1] == _sgpt-mi ]]; then
  _sgpt-mi "$@"
else
  compdef _sgpt-mi sgpt-mi
fi
)";

std::string zsh_script() {
  std::string script = kZshHead;
  for (const CommandRow& command : command_table()) {
    script +=
        fmt::format("      {}\n", zsh_quoted(fmt::format("{}:{}", command.name, command.help)));
  }
  script += fmt::format("    )\n    _describe subcommand subcommands\n    compadd -- {}\n",
                        fmt::join(kProgramFlags, " "));
  script += kZshMiddle;
  for (const CommandRow& command : command_table()) script += zsh_command(command);
  return script + kZshTail;
}

// --- fish ----------------------------------------------------------------------------------------

constexpr const char* kFishHead =
    R"(# fish completion of sgpt-mi, printed by: sgpt-mi completion fish
# Whether the subcommand is one of these; without names, whether there is none yet.
function __sgpt_mi_in
    set -l words (commandline -opc)
    if not set -q words[2]
        return (count $argv)
    end
    contains -- $words[2] $argv
end
complete -c sgpt-mi -f
)";

std::string fish_quoted(std::string_view text) { return "'" + with_backslashes(text, "\\'") + "'"; }

/// One `complete` command for the subcommands named.
std::string fish_line(unsigned commands, const std::string& rest) {
  const std::vector<std::string> names = command_names(commands);
  return fmt::format("complete -c sgpt-mi -n '__sgpt_mi_in{}{}' {}\n", names.empty() ? "" : " ",
                     fmt::join(names, " "), rest);
}

std::string fish_value(std::string_view value) {
  if (value.empty()) return "";
  const ValueOffer offer = value_offer(value);
  std::string result = offer.files ? " -r -F" : " -x";
  if (offer.folders) result += " -a '(__fish_complete_directories)'";
  if (!offer.choices.empty()) result += fmt::format(" -a '{}'", fmt::join(offer.choices, " "));
  return result;
}

std::string fish_script() {
  std::string script = kFishHead;
  for (const char* flag : kProgramFlags) script += fish_line(0, fmt::format("-l {}", flag + 2));
  for (const CommandRow& command : command_table()) {
    script += fish_line(0, fmt::format("-a {} -d {}", command.name, fish_quoted(command.help)));
    const ValueOffer offer = positional_offer(command);
    script += fish_line(command.bit,
                        offer.files ? "-F" : fmt::format("-a '{}'", fmt::join(offer.choices, " ")));
  }
  script += fish_line(kEvery, "-l help -d 'show the flags that people use'");
  script += fish_line(kEvery, "-l help-all -d 'show every flag'");
  for (const FlagRow& row : flag_table()) {
    std::string names;
    for (const std::string& name : flag_names(row)) {
      names += name[1] == '-' ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    script += fish_line(row.commands, fmt::format("{}{} -d {}", names.substr(1),
                                                  fish_value(row.value), fish_quoted(row.help)));
  }
  return script;
}

using Writer = std::string (*)();
constexpr Names<Writer, 3> kShells{
    {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}}};

}  // namespace

ValueOffer value_offer(std::string_view value) {
  ValueOffer offer;
  while (!value.empty()) {
    const std::string_view word = value.substr(0, value.find('|'));
    const bool is_kind = std::any_of(
        word.begin(), word.end(), [](unsigned char letter) { return std::isupper(letter) != 0; });
    if (!is_kind) offer.choices.emplace_back(word);
    offer.folders = offer.folders || word == "DIR";
    offer.files =
        offer.files || std::find(kFileWords.begin(), kFileWords.end(), word) != kFileWords.end();
    value.remove_prefix(std::min(value.size(), word.size() + 1));
  }
  return offer;
}

std::string completion_script(const std::string& shell) {
  return parse_name(kShells, "completion", shell)();
}

}  // namespace sgpt_mi::flags

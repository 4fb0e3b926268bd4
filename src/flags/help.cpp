#include "help.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "sgpt_mi/flags/version.h"

namespace sgpt_mi::flags {
namespace {

constexpr std::size_t kWidth = 100;      // columns of a line
constexpr std::size_t kTextColumn = 28;  // where the explanation of a flag begins
constexpr std::size_t kFewFlags = 20;    // so many fit on a screen

/// One line of a list: `left`, and from kTextColumn on `text`, broken between words.
std::string entry(const std::string& left, std::string_view text) {
  std::string result = "  " + left;
  std::size_t column = result.size();
  const auto next_line = [&] {
    result += "\n" + std::string(kTextColumn, ' ');
    column = kTextColumn;
  };
  if (column + 2 > kTextColumn) {
    next_line();
  } else {
    result.append(kTextColumn - column, ' ');
    column = kTextColumn;
  }
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (column > kTextColumn && column + 1 + word.size() > kWidth) next_line();
    if (column > kTextColumn) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return result + "\n";
}

std::string flag_entry(const FlagRow& row) {
  std::string left = fmt::format("{}", fmt::join(flag_names(row), ", "));
  if (*row.value != '\0') left += std::string(" ") + row.value;
  const std::string standard = default_text(row);
  return entry(left, row.help + (standard.empty() ? "" : fmt::format(" [default: {}]", standard)));
}

}  // namespace

const std::array<Example, 3>& examples() {
  static constexpr std::array<Example, 3> kExamples{
      {{"Half of the weights pruned, the others at 4 bits, saved small (the embedded demo model):",
        "build/sgpt-mi compress scripts/demo_model scripts/demo_model/text/train.txt \\\n"
        "  --sparsity 0.5 --wbits 4 --nsamples 16 --eval scripts/demo_model/text/test.txt "
        "--save build/small"},
       {"What was saved, measured beside the model that it was made from:",
        "build/sgpt-mi eval build/small --dense scripts/demo_model \\\n"
        "  --eval scripts/demo_model/text/test.txt"},
       {"What an OPT of 1.3 billion parameters would need here, without its weights or any text:",
        "build/sgpt-mi plan random:opt-1.3b c4 --sparsity 0.5 --wbits 4"}}};
  return kExamples;
}

std::vector<FlagGroup> by_heading(const std::vector<const FlagRow*>& rows) {
  std::vector<FlagGroup> groups;
  for (const FlagRow* row : rows) {
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const FlagGroup& group) { return group.heading == row->group; });
    if (found == groups.end()) found = groups.insert(found, {row->group, {}});
    found->rows.push_back(row);
  }
  return groups;
}

std::string positional_synopsis(const CommandRow& command) {
  std::vector<std::string> words;
  for (const Positional& word : command.positionals) {
    words.push_back(word.required ? word.value : fmt::format("[{}]", word.value));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

std::string default_text(const FlagRow& row) {
  return std::visit(
      [](auto member) -> std::string {
        const auto value = Settings{}.*member;
        if constexpr (std::is_same_v<decltype(value), const bool>)
          return "";
        else
          return fmt::format("{}", value);
      },
      row.target);
}

std::string general_help() {
  std::string text = fmt::format(
      "sgpt-mi {}: {}\n\nExamples, from a checkout after scripts/setup:\n", kVersion, kSummary);
  for (const Example& example : examples()) {
    text += fmt::format("\n# {}\n{}\n", example.what, example.command);
  }
  text += "\nUsage: sgpt-mi SUBCOMMAND ...\n\nSubcommands:\n";
  for (const CommandRow& row : command_table()) {
    text += fmt::format("  {:<12}{}\n", row.name, row.help);
  }
  return text +
         "\nsgpt-mi SUBCOMMAND --help shows the flags that people use, --help-all every one; '-' "
         "and "
         "'_' are\nthe same in their names. sgpt-mi --man prints the manual page, --version the "
         "version.\n";
}

std::string command_help(const CommandRow& command, HelpExtent extent) {
  const std::vector<const FlagRow*> flags = flags_of(command.bit);
  const bool all = extent == HelpExtent::kAll || flags.size() <= kFewFlags;
  std::vector<const FlagRow*> shown;
  std::copy_if(flags.begin(), flags.end(), std::back_inserter(shown),
               [&](const FlagRow* row) { return all || row->common; });

  std::string text =
      fmt::format("sgpt-mi {0}: {1}\n\nUsage: sgpt-mi {0} {2}{3}\n\n", command.name, command.help,
                  positional_synopsis(command), flags.empty() ? "" : " [flags]");
  for (const Positional& word : command.positionals) text += entry(word.value, word.help);
  for (const FlagGroup& group : by_heading(shown)) {
    text += "\n" + group.heading + ":\n";
    for (const FlagRow* row : group.rows) text += flag_entry(*row);
  }
  if (!all) text += fmt::format("\n--help-all shows all {} flags.\n", flags.size());
  return text;
}

}  // namespace sgpt_mi::flags

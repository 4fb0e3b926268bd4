#include "manual_page.h"

#include <spdlog/fmt/ranges.h>

#include <string_view>
#include <vector>

#include "help.h"
#include "sgpt_mi/flags/version.h"

namespace sgpt_mi::flags {
namespace {

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n0 success; 2 usage; 3 an input; 4 numbers; 5 the device; 70 a bug of the "
    "program; 130 after Ctrl\\-C.\n";

/// Text as troff shows it: some letters would be other signs there, and a line that begins with
/// '.' a request.
std::string troff_text(std::string_view text) {
  std::string result;
  bool line_begins = true;
  for (const char letter : text) {
    if (line_begins && letter == '.') result += "\\&";
    switch (letter) {
      case '\\':
        result += "\\e";
        break;
      case '-':
        result += "\\-";
        break;
      case '^':
        result += "\\(ha";
        break;
      case '~':
        result += "\\(ti";
        break;
      case '\'':
        result += "\\(aq";
        break;
      default:
        result += letter;
    }
    line_begins = letter == '\n';
  }
  return result;
}

std::string synopsis(const CommandRow& command) {
  return fmt::format("\\fBsgpt\\-mi {}\\fR \\fI{}\\fR{}", command.name,
                     troff_text(positional_synopsis(command)),
                     flags_of(command.bit).empty() ? "" : " [flags]");
}

/// "Of compress, plan and others."
std::string owners(const FlagRow& row) {
  std::vector<std::string> names;
  for (const CommandRow& command : command_table()) {
    if ((row.commands & command.bit) != 0) names.emplace_back(command.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string flag_paragraph(const FlagRow& row) {
  std::string text = fmt::format(".TP\n\\fB{}\\fR",
                                 troff_text(fmt::format("{}", fmt::join(flag_names(row), ", "))));
  if (*row.value != '\0') text += fmt::format(" \\fI{}\\fR", troff_text(row.value));
  const std::string standard = default_text(row);
  text += fmt::format("\n{}", troff_text(row.help));
  if (!standard.empty()) text += fmt::format(" [default: {}]", troff_text(standard));
  return text + fmt::format("\n.br\nOf: {}.\n", owners(row));
}

}  // namespace

std::string manual_page() {
  std::string page = fmt::format(
      ".TH SGPT\\-MI 1 \"\" \"sgpt\\-mi {}\"\n.SH NAME\nsgpt\\-mi \\- {}\n.SH SYNOPSIS\n",
      troff_text(kVersion), troff_text(kSummary));
  for (const CommandRow& command : command_table()) page += synopsis(command) + "\n.br\n";
  page += ".SH SUBCOMMANDS\n";
  for (const CommandRow& command : command_table()) {
    page += fmt::format(".TP\n{}\n{}\n", synopsis(command), troff_text(command.help));
    for (const Positional& word : command.positionals) {
      page += fmt::format(".RS\n.TP\n\\fI{}\\fR\n{}\n.RE\n", troff_text(word.value),
                          troff_text(word.help));
    }
  }
  page += ".SH FLAGS\n\\(aq\\-\\(aq and \\(aq_\\(aq are the same in the names of flags.\n";
  std::vector<const FlagRow*> rows;
  for (const FlagRow& row : flag_table()) rows.push_back(&row);
  for (const FlagGroup& group : by_heading(rows)) {
    page += fmt::format(".SS \"{}\"\n", troff_text(group.heading));
    for (const FlagRow* row : group.rows) page += flag_paragraph(*row);
  }
  page += ".SH EXAMPLES\nFrom a checkout after scripts/setup.\n";
  for (const Example& example : examples()) {
    page += fmt::format(".PP\n{}\n.PP\n.nf\n{}\n.fi\n", troff_text(example.what),
                        troff_text(example.command));
  }
  return page + kExitStatus;
}

}  // namespace sgpt_mi::flags

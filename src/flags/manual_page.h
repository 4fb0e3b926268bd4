#pragma once

#include <string>

namespace sgpt_mi::flags {

/// The manual page sgpt-mi(1) as troff source for man(7), made from the tables of subcommands and
/// flags: `sgpt-mi --man | man -l -`.
[[nodiscard]] std::string manual_page();

}  // namespace sgpt_mi::flags

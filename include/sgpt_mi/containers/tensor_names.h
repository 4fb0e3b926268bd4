#pragma once

#include <string>
#include <string_view>

namespace sgpt_mi::containers {

/// A name from a file, of a tensor or its like, that can stand in messages, tables and reports.
/// Throws Error(kInput) naming the file (`label`) when it has control characters or is not UTF-8.
[[nodiscard]] std::string checked_name(std::string_view name, const std::string& label);

}  // namespace sgpt_mi::containers

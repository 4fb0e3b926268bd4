#pragma once

#include <string>

namespace sgpt_mi::ranks {

/// Throws Error(kUsage) when a launcher has started several processes that do not know each other:
/// each would make the whole run, and all would write the same files.
/// \param advice  what to do.
void require_one_task(const std::string& advice);

}  // namespace sgpt_mi::ranks

#pragma once

#include <string>
#include <vector>

namespace sgpt_mi::report {

/// Rows of cells as aligned text: the first column flush left, the others flush right, two spaces
/// between columns, a rule below the first row. Widths count UTF-8 code points. Rows may be short.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace sgpt_mi::report

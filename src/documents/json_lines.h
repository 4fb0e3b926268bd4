#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::documents {

/// Fills a buffer with the next bytes of a text and returns how many; 0 at the end.
using ReadBytes = std::function<std::size_t(std::span<char> out)>;

/// The "text" members of the first `limit` lines, one JSON object a line; blank lines are skipped.
/// `label` is the file's name, for messages.
/// Throws Error(kInput) naming file and line when a line is not a JSON object with a "text".
[[nodiscard]] std::vector<std::string> read_json_lines(const ReadBytes& read,
                                                       const std::string& label, std::size_t limit);

}  // namespace sgpt_mi::documents

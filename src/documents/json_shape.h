#pragma once

#include <string_view>

namespace sgpt_mi::documents {

/// Whether a file that begins with these bytes holds JSON records: a complete object followed by
/// nothing or by another, an array of objects or strings followed by nothing, or the beginning of
/// one of them that fills `head`.
[[nodiscard]] bool looks_like_records(std::string_view head);

}  // namespace sgpt_mi::documents

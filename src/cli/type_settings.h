#pragma once

#include <optional>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// The block types of a format that holds blocks; nothing for the others, and when no codes are
/// asked for. Throws Error(kUsage) for an unknown type, and for flags that contradict the format or
/// the method.
[[nodiscard]] std::optional<planning::TypeOptions> type_options(
    const flags::Settings& typed, const formats::Format& format,
    const compress::CompressionSettings& compression);

/// The types of an export: --gguf_type and --gguf_types; nothing without both.
/// \throws Error(kUsage) an unknown type, a format without blocks, names without --gguf_type.
[[nodiscard]] std::optional<planning::TypeOptions> export_types(const flags::Settings& typed,
                                                                const formats::Format& format);

}  // namespace sgpt_mi::cli

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/planning/type_options.h"
#include "sgpt_mi/report/events.h"

namespace sgpt_mi::convert {

/// Where an exported model goes.
struct ExportTarget {
  std::filesystem::path path;
  formats::Format format;
  std::int64_t shard_bytes = 0;  ///< most bytes of one weight file; 0: the format's own choice
  /// Of a format that holds blocks: matrices are rounded to the nearest values of these; unset:
  /// they stay as they are.
  std::optional<planning::TypeOptions> types = std::nullopt;
};

/// Writes a model folder in another format (formats::find_format). The folder appears complete or
/// not at all. Memory: one tensor, and of formats with codes up to a shard.
///
/// As dense tensors: the values that `eval` of the source computes with, in the checkpoint's own
/// types. As blocks: the nearest values, without calibration text, which Q8_0 needs none of. As
/// codes: the same codes, scales and zero points, nothing is fitted again; a format with exact
/// values then decodes to their products as they are before they are rounded to the checkpoint's
/// type.
///
/// Throws Error(kInput) when the source cannot be read or the target not be written, Error(kUsage)
/// when the target holds something else, or when the format cannot hold the source's grids: the
/// message names the matrix, and the command that makes such a model.
void export_model(const std::string& source, const ExportTarget& target, report::Events& events);

}  // namespace sgpt_mi::convert

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/report/events.h"

namespace sgpt_mi::pipeline {

/// Where an exported model goes.
struct ExportTarget {
  std::filesystem::path path;
  formats::Format format;        ///< one that keeps dense tensors
  std::int64_t shard_bytes = 0;  ///< most bytes of one weight file; 0: the format's own choice
};

/// Writes a model, packed or not, as dense tensors: the values that `eval` of the source computes
/// with, in the checkpoint's own types. The target appears complete or not at all. Memory: one
/// tensor.
///
/// Throws Error(kInput) when the source cannot be read or the target not be written, Error(kUsage)
/// when the target holds something else or the format cannot hold the model.
void export_model(const std::string& source, const ExportTarget& target, report::Events& events);

}  // namespace sgpt_mi::pipeline

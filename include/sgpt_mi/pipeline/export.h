#pragma once

#include <filesystem>
#include <string>

#include "sgpt_mi/report/events.h"

namespace sgpt_mi::pipeline {

/// Writes a model folder, packed or not, as a Hugging Face folder of dense tensors: the values that
/// `eval` of the source computes with, in the checkpoint's own types. The folder appears complete
/// or not at all. Memory: one tensor.
///
/// Throws Error(kInput) when the source cannot be read or the target not be written, Error(kUsage)
/// when the target holds something else.
void export_hf(const std::string& source, const std::filesystem::path& target,
               report::Events& events);

}  // namespace sgpt_mi::pipeline

#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/flags/arguments.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::cli {

using Flags = std::vector<std::string>;

/// What `sgpt-mi compress m c4` makes of flags.
inline pipeline::CompressRun compress_run(Flags flags) {
  flags.insert(flags.begin(), {"compress", "m", "c4"});
  return to_compress_run(flags::parse_arguments(flags).settings);
}

inline compress::CompressionSettings compression(const Flags& flags) {
  return compress_run(flags).compression;
}

/// The sentence with which it refuses them.
inline std::string usage_error(const Flags& flags) {
  return test::error_of(ErrorKind::kUsage, [&] { static_cast<void>(compress_run(flags)); });
}

}  // namespace sgpt_mi::cli

#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/pipeline/sweep.h"

namespace sgpt_mi::cli {

/// The cells of a sweep from the JSON object of its file,
///
///   {"model": MODEL, "dataset": DATASET, "out": DIR,
///    "base": {flag: value}, "grid": {flag: [value, ...]},
///    "variants": [{flag: value, ...}, ...], "skip": [{flag: value, ...}, ...],
///    "beside": {"source": sentence, "set": evaluation set, "rows": [{"name", "bytes", "kl"},
///    ...]}}
///
/// Flags are those of `compress` without the ones that name outputs. The cells are all combinations
/// of one variant and one value of every grid flag, the last grid flag varying fastest, without
/// those that agree with all members of an entry of "skip". "base" holds for all cells.
/// "beside" is shown with the results as not their own.
/// Precedence: default < environment < base < command line; the varied flags cannot be given on the
/// command line.
///
/// typed: the command line of `sweep`. where: the file's name for errors.
/// Combinations of flags that are no run become cells with a refusal.
/// Throws Error(kUsage) for unknown keys (with the nearest name), values of a wrong type, nothing
/// varied, a flag varied twice, two equal cells, no cell left, a missing model, dataset or out,
/// rows beside that are incomplete or of no named source.
[[nodiscard]] pipeline::SweepRun expand_sweep(const nlohmann::ordered_json& file,
                                              const flags::ResolvedSettings& typed,
                                              const std::string& where);

/// The cells that "I/N" names: I, I + N, I + 2N, ..., counted from 1. The shares 1/N to N/N hold
/// every cell once. Throws Error(kUsage) unless 1 <= I <= N.
[[nodiscard]] std::vector<pipeline::GridCell> share_of(const std::vector<pipeline::GridCell>& cells,
                                                       const std::string& share);

}  // namespace sgpt_mi::cli

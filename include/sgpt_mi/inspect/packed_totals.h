#pragma once

#include <optional>

#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::inspect {

/// What the matrices of a packed checkpoint take, from its files alone; nothing for other
/// checkpoints. `sparsity` is the share of weights that masks leave out: zeros stored as codes are
/// not counted.
[[nodiscard]] std::optional<report::TotalsReport> packed_totals(
    const formats::Checkpoint& checkpoint);

}  // namespace sgpt_mi::inspect

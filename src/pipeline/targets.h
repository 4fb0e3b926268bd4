#pragma once

#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/session/session.h"

namespace sgpt_mi::pipeline {

/// Tells through events.plan() what the run's file of measurements predicts for other targets, when
/// there is one. Of block types and of levels with --plots a picture too, whose name it tells:
/// damage_vs_bytes.png, damage_vs_stored_bits.png.
/// Throws Error(kInput) when the file is none of measurements, or the picture cannot be written.
void tell_targets(const CompressRun& run, const Session& session, report::Events& events);

}  // namespace sgpt_mi::pipeline

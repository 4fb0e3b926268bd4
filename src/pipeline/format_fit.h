#pragma once

#include <vector>

#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/session/session.h"

namespace sgpt_mi::pipeline {

/// Throws Error(kUsage) naming what the run's format cannot hold of the run and the nearest that it
/// can.
void require_format(const CompressRun& run);

/// The same for one of the linears to compress.
void require_linear(const CompressRun& run, const model::LinearInfo& linear);

/// Says through events.warning() which readers cannot load what the run will write, and which
/// linears get another block type than the one asked for.
void warn_of_format(const CompressRun& run, const Session& session, report::Events& events);

/// Whether embedding and head get levels too. Not where the linears' errors are not in nats, as
/// theirs are: one step for both means nothing then.
[[nodiscard]] bool wants_level_ends(const compress::CompressionSettings& settings);

/// The settings of a format that holds blocks with what depends on the model: embedding and head,
/// and of --target_bytes what the file's other parts leave for the matrices, exactly. Others come
/// back as they are. Throws Error(kUsage) naming the least size when the target is below it.
[[nodiscard]] compress::CompressionSettings with_types(const CompressRun& run,
                                                       const Session& session,
                                                       const formats::SavedTypes& saved);

/// Bytes of the file around the matrices that were measured.
[[nodiscard]] std::int64_t bytes_without(const planning::Measurements& measurements,
                                         const compress::CompressionSettings& settings,
                                         const Session& session, const formats::SavedTypes& saved);

/// Bytes that the saved weights take at most: of --target_bytes that, of others by the bits asked
/// for, types and masks.
[[nodiscard]] std::int64_t most_saved_bytes(const CompressRun& run, const Session& session,
                                            const formats::SavedTypes& saved);

/// The types of a session's tensors as the run saves them.
[[nodiscard]] formats::SavedTypes saved_types(const Session& session,
                                              const compress::CompressionSettings& settings);

}  // namespace sgpt_mi::pipeline

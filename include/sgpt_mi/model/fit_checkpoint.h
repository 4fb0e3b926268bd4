#pragma once

#include <string>

#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::model {

/// The checkpoint as the model that config.json describes: `tensors` under the names of its family
/// and nothing else, so that every reader and every writer sees the same model. What was done about
/// it, in a sentence each, is added to `notes`.
///
/// 1. Buffers (containers/buffer_names.h) are left out.
/// 2. Names that wrappers have put around a model's are stripped when that makes a whole model of
///    them: those of torch.compile, DataParallel, FSDP, activation checkpointing, PEFT and
///    Lightning, also combined. Not in a packed checkpoint, whose config names its tensors.
/// 3. A head that is stored beside tied embeddings is left out where it equals them. Where it
///    differs it is the head, as in transformers 5 and llama.cpp: tie_word_embeddings becomes
///    false.
/// 4. Tensors that no model of the family has are left out and named: score heads, counters, LoRA
///    rests. So are biases of zeros that config.json does not know. What the family does have, such
///    as a layer beyond the last, stays for Model to refuse.
///
/// Cost: reads head and embeddings of a tied model that stores both.
/// \throws Error(kInput) as parse_model_spec(); a wrapped model with tensors missing, a LoRA
/// adapter
///         that is not merged.
[[nodiscard]] formats::Checkpoint fit_checkpoint(formats::Checkpoint checkpoint);

/// MODEL as it is typed, found, opened and fitted: a folder, a file or a Hub id; or the made-up
/// weights of random:NAME.
/// Throws as formats::locate_model(), open_checkpoint(), fit_checkpoint() and random_checkpoint().
[[nodiscard]] formats::Checkpoint open_model(const std::string& model,
                                             const ParallelFor& parallel_for);

}  // namespace sgpt_mi::model

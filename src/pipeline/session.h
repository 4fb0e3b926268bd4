#pragma once

#include <memory>
#include <string>

#include "sgpt_mi/compress/settings.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/ranks/broadcast_source.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::pipeline {

/// Warns of what is read in another way than the files say.
void tell_notes(const formats::Checkpoint& checkpoint, report::Events& events);

/// An opened model with the place where it is computed; what `compress` and `eval` start from.
struct Session {
  formats::Checkpoint checkpoint;
  ranks::World world;
  ranks::BroadcastSource weights;  ///< what the model is read from
  model::Model model;
  model::Placement placement;
  /// Where calibration windows pass through the blocks: --dtype auto takes bfloat16 there where the
  /// processor multiplies it and the model is stored in 16 bits or fewer.
  model::Placement narrow;
  obs::RowPlacement rows;  ///< where matrices are compressed; its first device is the placement's

  /// The placement of a compression's calibration windows. Channels that are scaled lie in a
  /// block's weights alone, which a narrow type would round.
  [[nodiscard]] const model::Placement& calibration(
      const compress::CompressionSettings& settings) const {
    return settings.channel_scaling ? placement : narrow;
  }

  /// Opens MODEL, checks it, resolves device and dtype, sets LibTorch's thread count.
  /// Throws Error(kInput), kUsage (unknown device or dtype), kDevice (no such GPU).
  explicit Session(const ModelOptions& options);

  /// Whether the weights are random: such a model reads random token ids and no text.
  [[nodiscard]] bool is_random() const { return checkpoint.location.is_random; }
  /// The type most of the model's bytes are stored in, matrices of codes left out.
  [[nodiscard]] DType stored_dtype() const;
  [[nodiscard]] std::int64_t parameters() const;
  /// Of the weight files; of random weights the tensors' alone.
  [[nodiscard]] std::int64_t stored_bytes() const;
  /// seqlen as asked, or min(positions, 2048). Throws Error(kUsage) beyond the positions.
  [[nodiscard]] std::int64_t resolve_seqlen(std::int64_t asked) const;
};

/// Where matrices are compressed when the model is on `first`: on a CPU there; with `--device cuda`
/// or `auto` on the first and all other `visible` CUDA devices; with `cuda:N`, and where each rank has
/// a GPU of its own, on that one, by the same products and so with the same result.
[[nodiscard]] obs::RowPlacement place_rows(const std::string& device, torch::Device first,
                                           int visible);

/// The tokenizer of a checkpoint: its folder's files or the GGUF metadata.
[[nodiscard]] std::unique_ptr<tokenizer::Tokenizer> load_tokenizer_of(
    const formats::Checkpoint& checkpoint);

/// The name people use for a dtype: "float32".
[[nodiscard]] std::string scalar_type_name(torch::ScalarType type);

}  // namespace sgpt_mi::pipeline

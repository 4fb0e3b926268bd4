#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/ranks/broadcast_source.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::session {

/// Which model, and where and how it is computed.
struct ModelOptions {
  std::string model;            ///< folder, GGUF file or Hub id: formats::locate_model
  std::string device = "auto";  ///< auto (cuda when there is one), cpu, cuda, cuda:N
  std::string dtype =
      "auto";       ///< auto (float32 on the CPU, the stored type on a GPU), float32, ...
  int threads = 0;  ///< of LibTorch's pool; 0: LibTorch's choice
  /// A GPU that is not here counts as one: nothing may be computed then, only planned.
  bool assume_device = false;
  ranks::World world = {};  ///< who share the run; each takes the GPU of its place on its machine
  /// Rank 0 reads the model's weights and sends them to the others, which else read them as well.
  bool broadcast_weights = false;
  /// Of a plan alone: for so many ranks, which are not there; 0: for `world`.
  int planned_ranks = 0;

  [[nodiscard]] int ranks() const { return planned_ranks > 0 ? planned_ranks : world.size(); }

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
};

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
  obs::RowPlacement rows;  ///< place_rows() of the placement's device

  /// The placement of a compression's calibration windows.
  /// \param scales_channels  such channels lie in a block's weights alone, which a narrow type
  /// would
  ///                         round.
  [[nodiscard]] const model::Placement& calibration(bool scales_channels) const {
    return scales_channels ? placement : narrow;
  }

  /// Where matrices are compressed with these options. On a CPU the steps around the sweep of
  /// SparseGPT get products of few rows, which ranks can share.
  [[nodiscard]] obs::RowPlacement rows_for(const obs::CompressOptions& options) const;

  /// What decides how sums are rounded here: device, types, instructions, threads.
  [[nodiscard]] nlohmann::json arithmetic() const;

  Session(const Session&) = delete;  // the model refers to `weights`
  Session& operator=(const Session&) = delete;

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

/// Where matrices are compressed when the model is on `first`: on a CPU there, uncut; with
/// `--device cuda` or `auto` on the first and all other `visible` CUDA devices; with `cuda:N`, and
/// where each rank has a GPU of its own, on that one, by the same products and so with the same
/// result.
[[nodiscard]] obs::RowPlacement place_rows(const std::string& device, torch::Device first,
                                           int visible);

/// The tokenizer of a checkpoint: its folder's files or the GGUF metadata.
[[nodiscard]] std::unique_ptr<tokenizer::Tokenizer> load_tokenizer_of(
    const formats::Checkpoint& checkpoint);

/// The tokenizer that belongs to a model, which is not opened where a folder's files are enough.
[[nodiscard]] std::unique_ptr<tokenizer::Tokenizer> open_tokenizer(const std::string& model);

/// The name people use for a dtype: "float32".
[[nodiscard]] std::string scalar_type_name(torch::ScalarType type);

}  // namespace sgpt_mi::session

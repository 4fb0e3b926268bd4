#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/memory/activation_space.h"
#include "sgpt_mi/memory/memory_limits.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::memory {

/// What the memory of a compression depends on.
struct MemoryQuestion {
  const model::Model& model;
  model::Placement placement;
  std::int64_t parameters = 0;    ///< of the whole model
  std::int64_t stored_bytes = 2;  ///< bytes of a parameter in the checkpoint's type
  std::int64_t windows = 0;       ///< that calibrate
  std::int64_t seqlen = 0;
  std::int64_t batch_windows = 0;               ///< asked for in one forward; 0: to be chosen
  std::vector<std::int64_t> eval_windows = {};  ///< of each evaluation set
  std::int64_t eval_seqlen = 0;                 ///< the longest of them

  // the method
  bool true_sequential = false;
  bool dense_stream = false;          ///< the dense model's activations beside the compressed ones
  bool corrects_drift = false;        ///< drift::correct_drift
  bool corrects_residual = false;     ///< and of the residual stream
  bool refines = false;               ///< descents and refits around the sweep
  bool chooses_widths = false;        ///< a width for every unit of columns, by score
  std::int64_t sampled_tokens = 0;    ///< kept of a site's input
  bool groups_channels = false;       ///< an affinity of a site's channels is clustered
  std::int64_t tuned_windows = 0;     ///< of tuning::tune_model(); 0: none
  bool backward_pass = false;         ///< sensitivities by one
  std::int64_t measured_windows = 0;  ///< that a measured plan looks at; 0: there is none
  std::int64_t held_out_windows = 0;  ///< that plans are compared on; 0: they are not

  bool keeps_weights = false;      ///< compressed weights stay in memory: nothing is saved
  bool packs = false;              ///< a packed folder is written
  bool decodes = false;            ///< what is read, or written and scored, may lie packed
  int ranks = 1;                   ///< that share all windows
  std::int64_t program_bytes = 0;  ///< that the process holds before it starts
};

/// Bytes for one purpose.
struct MemoryNeed {
  std::string what;
  std::int64_t bytes = 0;
};
using MemoryNeeds = std::vector<MemoryNeed>;

[[nodiscard]] std::int64_t total_of(const MemoryNeeds& needs);
/// "blocks 1.4 GB, H 1.1 GB": the needs that are not 0.
[[nodiscard]] std::string describe_needs(const MemoryNeeds& needs);

/// What is in memory at once in one stage of a run; on a CPU all of it is on the host.
struct MemoryPhase {
  std::string name;
  MemoryNeeds device;
  MemoryNeeds host;
};

/// What a run takes at most, and how it keeps to its limits.
struct MemoryPlan {
  std::vector<MemoryPhase> phases;
  std::int64_t batch_windows = 4;  ///< calibration windows in one forward
  ActivationBudget activations;    ///< of the calibration windows' states
  std::int64_t activation_bytes =
      0;                         ///< all of those states; what the budget leaves goes to a file
  std::int64_t host_states = 0;  ///< of them in pinned memory
  std::int64_t file_states = 0;  ///< of them in the file

  /// The phases that take the most; the device's has no needs on a CPU.
  [[nodiscard]] const MemoryPhase& device_peak() const;
  [[nodiscard]] const MemoryPhase& host_peak() const;
};

/// An upper estimate of what a compression takes, and where its activations lie so that it keeps to
/// the limits:
///
///   * batch_windows, unless they are asked for: on a CPU 4, on a GPU as many as make up 16,384
///   tokens
///     while a forward's temporaries stay below a quarter of the memory; fewer where nothing else
///     fits;
///   * activations stay on the device as far as there is room beside everything else of the phases
///     that have them, then in pinned host memory, then in a file in TMPDIR.
///
/// Counted by phase, each the sum of what lives at once: scoring (the ends of the model, a block,
/// the states of the largest set, logits), for rd the sensitivities, the curves and the check of
/// plans, calibration (H of the sites held together, temporaries of a forward), solving (H, its
/// factor with the retry in float64, copies of the largest linear) and block tuning. On a GPU two
/// blocks are in memory, as the next is read ahead. The counts follow the code of obs, calib, eval
/// and the blocks.
///
/// Throws Error(kUsage) naming the parts when the least plan exceeds a limit that was asked for; a
/// plan beyond what is merely free is returned.
[[nodiscard]] MemoryPlan make_memory_plan(const MemoryQuestion& question,
                                          const MemoryLimits& limits);

}  // namespace sgpt_mi::memory

#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/pipeline/width_options.h"

namespace sgpt_mi::pipeline {

/// What a run may take of memory, bytes; nothing: what is free.
struct MemoryCap {
  std::optional<std::int64_t> compute;  ///< on the device that computes, GPU or CPU
  std::optional<std::int64_t> device;   ///< instead: on the GPU
  std::optional<std::int64_t> host;     ///< instead, or besides a GPU: host memory
};

/// "4GiB", "cuda:20GiB,host:64GiB" or ""; SIZE as parse_bytes() reads it, "cpu" is another name of
/// "host". Throws Error(kUsage) naming the text.
[[nodiscard]] MemoryCap parse_memory_cap(const std::string& text);

/// Which model, and where and how it is computed.
struct ModelOptions {
  std::string model;            ///< folder, GGUF file or Hub id in the local cache
  std::string device = "auto";  ///< auto (cuda when there is one), cpu, cuda, cuda:N
  std::string dtype =
      "auto";       ///< auto (float32 on the CPU, the stored type on a GPU), float32, ...
  int threads = 0;  ///< of LibTorch's pool; 0: LibTorch's choice
  /// A GPU that is not here counts as one: nothing may be computed then, only planned.
  bool assume_device = false;

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
};

/// Which texts are scored.
struct EvalOptions {
  std::vector<std::string> sets;  ///< set names, text files, recorded windows; empty: none
  std::string data_dir;
  std::int64_t seqlen = 0;       ///< 0: min(model's positions, 2048)
  std::int64_t max_windows = 0;  ///< first windows of each set only; 0: all

  void validate() const;
};

/// Which windows calibrate.
struct CalibrationSource {
  std::string dataset;
  std::int64_t nsamples = 128;
  std::uint64_t seed = 0;
};

/// How the importance, groups, widths and error compensation of a run are chosen.
enum class Method : std::uint8_t {
  kSparseGpt,  ///< one width, mask and codes in one OBS sweep
  kMagnitude,  ///< one width, no compensation
  kToky,       ///< three widths by each channel's contribution
  kEnhanced,   ///< five widths by each channel's importance
  kMi,         ///< five widths by importance and mutual information of groups of channels
  kRd          ///< drift correction, refined support and codes, a measured global plan
};

/// "sparsegpt", "mi" ...; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] Method parse_method(const std::string& name);
[[nodiscard]] std::string method_name(Method method);

/// What the outputs' squared errors are weighted by when linears are compared.
enum class Sensitivity : std::uint8_t {
  kFisher,  ///< (d loss / d y_r)^2 of each output row, by a backward pass over a few windows
  kEnergy,  ///< one over the energy of the linear's output
  kNone     ///< all alike
};

/// "fisher", "energy", "none"; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] Sensitivity parse_sensitivity(const std::string& name);
[[nodiscard]] std::string sensitivity_name(Sensitivity sensitivity);

/// In which order the OBS sweeps take the columns of a matrix.
enum class ColumnOrder : std::uint8_t {
  kNatural,
  kHessian,  ///< by diag(H), largest first: obs::CompressOptions::act_order
  kMi        ///< by the mutual information with all other channels, largest first
};

/// "natural", "hessian", "mi"; and back. Throws Error(kUsage) listing the names.
[[nodiscard]] ColumnOrder parse_column_order(const std::string& name);
[[nodiscard]] std::string column_order_name(ColumnOrder order);

/// How sparsities and widths are spread over the linears: METHODS.md section 5, step 0.
struct PlanOptions {
  Sensitivity sensitivity = Sensitivity::kFisher;
  std::int64_t windows = 4;        ///< first calibration windows, which are measured
  std::int64_t check_windows = 2;  ///< last ones, on which plans are compared by KL; 0: no check
  /// Sparsities of linears lie within this distance of the target's; 0: all alike.
  double sparsity_range = 0.1;
  bool plan_widths = true;   ///< whether widths may differ from the target's
  WidthOptions widths;       ///< levels, target and units; read when codes are chosen
  std::string measurements;  ///< file that keeps what was measured; empty: none

  void validate() const;
};

/// Which linears are compressed: those in blocks [min_layer, max_layer) whose name contains
/// `name_contains`; with `invert` all others.
struct LayerSelection {
  std::int64_t min_layer = -1;
  std::int64_t max_layer = std::numeric_limits<std::int64_t>::max();
  std::string name_contains;
  bool invert = false;

  [[nodiscard]] bool contains(std::int64_t layer, const std::string& linear) const;
};

/// How the blocks are compressed.
struct CompressionSettings {
  Method method = Method::kSparseGpt;
  obs::CompressOptions matrix;  ///< act_order as column_order says
  ColumnOrder column_order = ColumnOrder::kNatural;
  std::optional<WidthOptions> widths;  ///< of toky, enhanced and mi, instead of matrix.wbits
  LayerSelection selection;
  /// alpha of s_j = max|x_j|^alpha / max|W_:j|^(1 - alpha), folded into the norm before; in [0, 1].
  std::optional<double> channel_scaling;
  bool true_sequential = false;  ///< calibrate each site with the sites before it compressed
  /// alpha of obs::correct_drift against the dense model's stream, in [0, 1]; 0: off. Needs
  /// true_sequential.
  double drift = 0.0;
  bool drift_residual = false;      ///< also make good what the residual stream has lost
  bool bias_update = false;         ///< b += W E xd - Q E x, where there are biases
  std::int64_t block_tuning = 0;    ///< steps of Adam a block, after its linears; 0: off
  std::optional<PlanOptions> plan;  ///< unset: every linear gets the same sparsity and width
  std::int64_t batch_windows = 0;   ///< windows in one forward; 0: chosen by the memory plan

  [[nodiscard]] bool quantizes() const { return matrix.quantizes() || widths.has_value(); }
  /// Whether the dense model's activations are needed beside the compressed ones.
  [[nodiscard]] bool follows_dense() const {
    return drift > 0.0 || bias_update || block_tuning > 0;
  }

  void validate() const;
};

/// How a compressed model is written, and so how it is computed: see CompressRun::format.
enum class SaveFormat : std::uint8_t {
  kPacked,  ///< codes, masks and grids: io/packed_matrix.h
  kHf       ///< dense tensors in the checkpoint's types, for every program that reads those
};

/// One `sgpt-mi compress`.
struct CompressRun {
  ModelOptions model;
  CalibrationSource calibration;
  CompressionSettings compression;
  EvalOptions eval;
  std::string save_dir;  ///< empty: nothing is saved
  /// Sizes are counted and grids are rounded as this format stores them, also without save_dir.
  SaveFormat format = SaveFormat::kHf;
  std::string plots_dir;  ///< pictures are written here; empty: none
  MemoryCap max_memory;

  void validate() const;
};

/// One `sgpt-mi eval`.
struct EvalRun {
  ModelOptions model;
  EvalOptions eval;
  std::string dense_model;  ///< MODEL that it was made from, scored beside it; empty: none

  void validate() const;
};

}  // namespace sgpt_mi::pipeline

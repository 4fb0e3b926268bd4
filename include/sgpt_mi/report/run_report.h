#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::report {

/// The model that a run started from.
struct ModelReport {
  std::string path;
  std::string family;
  std::int64_t layers = 0;
  std::int64_t parameters = 0;
  std::int64_t bytes = 0;  ///< tensor data as stored
  std::string sha256;      ///< of the weight files' bytes, in name order
};

struct CalibrationReport {
  std::string dataset;
  std::int64_t nsamples = 0;
  std::int64_t seqlen = 0;
  std::uint64_t seed = 0;
  std::string token_sha256;
  std::string dtype;  ///< that the windows passed through the blocks in
};

/// One factorisation that was tried.
struct DampingReport {
  double percdamp = 0.0;
  bool float64 = false;
  bool succeeded = false;
  double residual = 0.0;
};

/// Input channels of one linear that were treated alike.
struct GroupReport {
  std::int64_t channels = 0;
  int bits = 0;  ///< width of the codes; the stored type's bits when not quantized
  /// Mean over the pairs of channels, 0 to 1; absent for one channel, or when no MI was computed.
  std::optional<double> mean_nmi = std::nullopt;
  std::optional<double> importance = std::nullopt;  ///< mean over the channels, in method's unit
};

/// One compressed linear.
struct LayerReport {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::string type;             ///< of a matrix in blocks: "Q4_K"; else empty
  double sparsity = 0.0;        ///< share of exact zeros
  double average_bits = 0.0;    ///< code bits a weight; the stored type's bits when not quantized
  double stored_bits = 0.0;     ///< bits a weight takes in the saved file
  bool coded = false;           ///< by entropy: average_bits is then what the codes take
  std::optional<double> step;   ///< of levels: obs::LevelOptions::step
  double loss = 0.0;            ///< sum (w - q)^2 / (2 U_jj^2), H with the factor 2 / sequences
  double output_error = 0.0;    ///< trace(dW H dW^T) / trace(W H W^T)
  double damping = 0.0;         ///< percdamp that succeeded
  std::optional<double> drift;  ///< share of the drift correction that was applied
  std::vector<DampingReport> damping_steps;
  std::int64_t dead_channels = 0;
  std::int64_t constant_channels = 0;
  std::int64_t calibration_tokens = 0;
  bool rank_deficient = false;        ///< fewer calibration tokens than channels
  std::optional<double> condition;    ///< estimate of the damped H's; absent: not factorised
  std::int64_t massive_channels = 0;  ///< with over 100 times the median mean square
  double activation_max = 0.0;        ///< largest |x| of the input
  /// sum |x_dense - x| / sum |x| over the input; absent while there is one stream.
  std::optional<double> stream_gap;
  /// Predicted by the measured plan, and sum_r f_r [dW H dW^T]_rr in its unit: with Fisher
  /// sensitivity nats a token. Absent without a plan, or where it knew nothing.
  std::optional<double> planned_damage;
  std::optional<double> reached_damage;
  double seconds = 0.0;
  std::vector<GroupReport> groups;               ///< empty without grouping
  std::optional<double> silhouette;              ///< of the grouping, -1 to 1
  std::map<int, std::int64_t> channels_by_bits;  ///< width -> number of input channels
  std::optional<double> importance_min;          ///< over the channels
  std::optional<double> importance_max;          ///< over the channels
};

/// Where a linear stands in the model.
struct LayerPlace {
  std::int64_t block = 0;  ///< the first number in the name; without one its place among the layers
  std::string kind;        ///< the last part of the name: "q_proj"
};

/// The places of the layers, in their order.
[[nodiscard]] std::vector<LayerPlace> layer_places(std::span<const LayerReport> layers);

/// Sums over the compressed linears, and what the saved model takes.
struct TotalsReport {
  std::int64_t weights = 0;
  double sparsity = 0.0;
  double average_code_bits = 0.0;
  double stored_bits_per_weight = 0.0;
  std::int64_t bytes = 0;                             ///< tensor data of the whole saved model
  std::map<std::string, std::int64_t> bit_histogram;  ///< width -> number of weights
  std::map<std::string, std::int64_t> bytes_by_part;  ///< part of the saved model -> bytes
  std::optional<std::int64_t> predicted_file_bytes;   ///< from the plan, before writing
  std::optional<std::int64_t> written_file_bytes;     ///< found on disk after writing
};

/// A measured perplexity; units in eval/perplexity.h.
struct PerplexityFigures {
  double ppl = 0.0;
  double nll_mean = 0.0;
  double nll_stderr = 0.0;
  double ppl_stderr = 0.0;
  std::vector<double> window_nll;
  /// KL(dense || compressed) of the next-token distributions, nats a token; of compressed models.
  std::optional<double> kl_mean = std::nullopt;
  std::optional<double> kl_stderr = std::nullopt;       ///< over windows, as nll_stderr
  std::optional<double> top1_agreement = std::nullopt;  ///< share of tokens with dense's argmax
  std::vector<double> window_kl = {};
};

/// One evaluation set: what was scored, dense and compressed.
struct PerplexityReport {
  std::string set;
  std::string protocol;
  std::int64_t tokens = 0;
  std::int64_t windows = 0;
  std::int64_t seqlen = 0;
  std::string dtype;
  std::string text_sha256;
  std::string token_sha256;
  std::optional<PerplexityFigures> dense;
  std::optional<PerplexityFigures> compressed;
};

/// An embedding or a head that was compressed beside the linears.
struct EndReport {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t bytes = 0;  ///< as saved
};

/// What end-to-end tuning did to the divergence from the dense model, nats a token, on calibration
/// windows that it did not see itself.
struct TuningReport {
  std::int64_t windows = 0;  ///< asked for
  double kl_before = 0.0;
  double kl_after = 0.0;
  bool kept = false;  ///< false: the model stayed as it was
};

/// Bytes of a process.
struct MemoryReport {
  std::int64_t host = 0;
  std::int64_t device = 0;  ///< on one GPU; measured without, planned with a CUDA context
};

/// Everything that a run measured. The keys of to_json() are the stable contract of --report.
struct RunReport {
  std::string version;
  std::vector<std::string> command;
  nlohmann::json config = nlohmann::json::object();
  std::string method;
  ModelReport model;
  std::optional<std::int64_t> dense_bytes;  ///< of the model that --dense names, as it is stored
  std::optional<CalibrationReport> calibration;
  std::vector<LayerReport> layers;
  std::optional<TotalsReport> totals;
  std::vector<EndReport> ends;  ///< beside the layers, where they were compressed too
  std::optional<TuningReport> tuning;
  std::vector<PerplexityReport> perplexity;  ///< in the order asked for
  std::map<std::string, double> timings;     ///< stage -> seconds
  /// Counted operations of the compression's products: "forward" and "H" (in `timings` load,
  /// calibrate, propagate, dense_stream, fisher) and "OBS" (factor, drift, obs, curves,
  /// plan_check).
  std::map<std::string, double> operations;
  MemoryReport peak_bytes;
  std::optional<MemoryReport> planned_bytes;  ///< at most, as told before a compression
  std::vector<std::string> warnings;
};

[[nodiscard]] nlohmann::ordered_json to_json(const RunReport& report);
[[nodiscard]] nlohmann::ordered_json to_json(const LayerReport& layer);

[[nodiscard]] nlohmann::ordered_json to_json(const PerplexityFigures& figures);

/// What to_json() made of a perplexity. Throws nlohmann::json::exception when a key is missing or
/// has another type.
[[nodiscard]] PerplexityFigures figures_from_json(const nlohmann::ordered_json& json);

/// What to_json() made of a linear's figures. Throws Error(kInput) naming `where` and what is
/// missing.
[[nodiscard]] LayerReport layer_from_json(const nlohmann::ordered_json& json,
                                          const std::string& where);

/// The result table as cells, headings first: one row a model (dense, method), one column a figure,
/// perplexities and, where measured, KL as value ± standard error, top-1 agreement in percent.
[[nodiscard]] std::vector<std::vector<std::string>> result_rows(const RunReport& report);

/// result_rows() as aligned text for stdout. Ends with a newline.
[[nodiscard]] std::string result_table(const RunReport& report);

/// Sums the layers up. `model_bytes`: tensor data of the saved model.
[[nodiscard]] TotalsReport sum_layers(const std::vector<LayerReport>& layers,
                                      std::int64_t model_bytes);

}  // namespace sgpt_mi::report

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sgpt_mi::flags {

/// What the user typed: one plain field a flag, with the program's defaults. Turned into the
/// options of the rooms by `cli`, never used deeper.
struct Settings {
  // positional
  std::string model;
  std::string dataset;
  std::string file = "-";  ///< of tokenize
  std::string shell;       ///< of completion

  // common
  std::string device = "auto";
  std::string dtype = "auto";
  int threads = 0;
  std::string mpi_weights = "read";
  int ranks = 0;
  std::string max_memory;
  std::string data_dir;
  std::string text_key;
  std::string report;
  std::string trace;
  std::string config;
  bool quiet = false;
  bool verbose = false;
  bool print_config = false;

  // calibration and evaluation
  std::int64_t nsamples = 128;
  std::int64_t seqlen = 0;
  std::uint64_t seed = 0;
  std::string eval = "wikitext2,ptb,c4";
  std::int64_t eval_windows = 0;
  std::string dense;
  std::string revision;
  bool offline = false;

  // compression
  std::string method = "rd";
  double sparsity = 0.0;
  std::string pattern;
  std::int64_t prunen = 0;
  std::int64_t prunem = 0;
  int wbits = 16;
  bool sym = false;
  bool mse = false;
  std::int64_t groupsize = -1;
  bool static_groups = false;
  bool act_order = false;
  double percdamp = 0.01;
  std::int64_t blocksize = 128;
  bool true_sequential = false;
  std::int64_t minlayer = -1;
  std::int64_t maxlayer = 1000;
  std::string prune_only;
  bool invert = false;
  std::string batch_windows = "auto";
  std::string save;
  bool resume = false;
  std::string format = "auto";
  std::string coding = "auto";
  bool keep_embeddings = false;
  std::string gguf_type;
  std::string gguf_types;
  std::string shard_bytes = "0";
  std::string plots;
  std::string record;

  // widths: toky, enhanced, mi
  double target_avg_bits = 0.0;
  double attention_bits = 0.0;
  double ffn_bits = 0.0;
  double target_stored_bits = 0.0;
  std::string target_bytes;
  std::string budget_scope = "layer";
  std::string bit_allocation = "budget";
  std::string bit_thresholds = "0.15,0.10,0.05,0.02";
  std::string toky_thresholds = "1.2,0.5";
  std::string levels = "2,3,4,6,8";
  std::string importance_weights = "0.25,0.25,0.15,0.25,0.10";
  std::string share = "scale";
  double channel_scaling = -1.0;

  // groups of channels
  int use_mi_grouping = 1;
  std::string grouping = "mi";
  std::string n_groups = "10";
  std::string mi_method = "gaussian";
  std::int64_t mi_tokens = 1024;
  std::string clustering = "spectral";

  // steps around the sweep; -1: as the method has them
  double drift = -1.0;
  int drift_residual = -1;
  std::int64_t l0_sweeps = -1;
  std::int64_t refit = -1;
  int grid_after_mask = -1;
  int weighted_clip = -1;
  std::int64_t polish = -1;
  int scale_step = -1;
  std::int64_t tune = 0;

  // measured plan: rd
  std::string sensitivity = "fisher";
  double sparsity_range = 0.1;
  int width_plan = 1;
  std::int64_t plan_windows = 4;
  std::int64_t plan_check = 2;
  std::string measurements;

  // tokenize
  bool no_special = false;

  // compare
  std::string methods = "sparsegpt,toky,enhanced,mi,rd";
  std::string groupings = "mi";
  std::string seeds = "0";

  // export
  std::string output;

  // sweep
  std::string grid;  ///< the sweep's own file
  std::string out;
  std::string only;
  bool dry_run = false;
};

/// Where a value came from.
enum class Origin : std::uint8_t { kDefault, kEnvironment, kFile, kFlag };
[[nodiscard]] std::string origin_name(Origin origin);

/// Settings and the origin of every flag that is not at its default.
struct ResolvedSettings {
  std::string command;  ///< the subcommand
  Settings values;
  std::map<std::string, Origin> origins;  ///< by flag key; absent: default

  [[nodiscard]] bool given(const std::string& key) const { return origins.contains(key); }
};

}  // namespace sgpt_mi::flags

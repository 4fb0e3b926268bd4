#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// What the user typed: one plain field a flag, with the program's defaults. Turned into the
/// options of the rooms by the functions below, never used deeper.
struct Settings {
  // positional
  std::string model;
  std::string dataset;
  std::string file = "-";  ///< of tokenize

  // common
  std::string device = "auto";
  std::string dtype = "auto";
  int threads = 0;
  std::string data_dir;
  std::string report;
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

  // compression
  std::string method = "sparsegpt";
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
  std::int64_t batch_windows = 4;
  std::string save;

  // tokenize
  bool no_special = false;
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

/// The options of `compress` and `plan`. Throws Error(kUsage) for flags that contradict each other.
[[nodiscard]] pipeline::CompressRun to_compress_run(const ResolvedSettings& settings);

/// The options of `eval`. Throws Error(kUsage).
[[nodiscard]] pipeline::EvalRun to_eval_run(const ResolvedSettings& settings);

}  // namespace sgpt_mi::cli

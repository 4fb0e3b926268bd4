#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/compress/settings.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/memory/memory_limits.h"
#include "sgpt_mi/session/session.h"

namespace sgpt_mi::pipeline {

using session::ModelOptions;
using session::Session;

/// Which texts are scored.
struct EvalOptions {
  std::vector<std::string> sets;  ///< set names, text files, recorded windows; empty: none
  std::string data_dir;
  std::int64_t seqlen = 0;       ///< 0: min(model's positions, 2048)
  std::int64_t max_windows = 0;  ///< first windows of each set only; 0: all
  std::string text_key;          ///< of records in files, also of calibration: text::DataSettings

  void validate() const;
};

/// Which windows calibrate.
struct CalibrationSource {
  std::string dataset;
  std::int64_t nsamples = 128;
  std::uint64_t seed = 0;
};

/// What becomes of the unfinished run that another process has left in a journal.
enum class Unfinished : std::uint8_t {
  kRefuse,       ///< Error(kUsage) that says how to go on
  kGoOn,         ///< Error(kUsage) where it is another run
  kGoOnOrForget  ///< another run's is removed
};

/// One `sgpt-mi compress`.
struct CompressRun {
  ModelOptions model;
  CalibrationSource calibration;
  compress::CompressionSettings compression;
  EvalOptions eval;
  std::string save_dir;          ///< folder or, of some formats, file; empty: nothing is saved
  std::int64_t shard_bytes = 0;  ///< most bytes of one weight file; 0: the format's own choice
  /// Sizes are counted and grids are rounded as this format stores them, also without save_dir.
  formats::Format format = formats::default_format(false);
  std::string fixed_by;     ///< the flag because of which codes are not entropy-coded; or empty
  std::string plots_dir;    ///< pictures are written here; empty: none
  std::string record_file;  ///< recorder::record_page() is written here; empty: nowhere
  memory::MemoryCap max_memory;
  std::string journal;  ///< what is finished is kept in JOURNAL.partial; empty: nowhere
  Unfinished unfinished = Unfinished::kRefuse;
  /// All settings that decide the result, by which an unfinished run is known again.
  nlohmann::json settings = nlohmann::json::object();

  void validate() const;
};

/// What the user asked for where a format has defaults of its own.
struct FormatWishes {
  bool asymmetric = false;     ///< grids with offset
  bool levels = false;         ///< the widths to choose from
  bool tensor_widths = false;  ///< widths that differ by tensor
};

/// Makes a run's grids those of run.format: symmetry, the scales' precision, levels, one width for
/// all tensors where the format has that by default. To be called before a plan's width is chosen
/// from its levels. Throws Error(kUsage) for a width that the format does not hold.
void take_format(CompressRun& run, const FormatWishes& wishes);

/// One `sgpt-mi eval`.
struct EvalRun {
  ModelOptions model;
  EvalOptions eval;
  std::string dense_model;  ///< MODEL that it was made from, scored beside it; empty: none

  void validate() const;
};

}  // namespace sgpt_mi::pipeline

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/formats/weight_store.h"

namespace sgpt_mi::formats {

/// Makes the run report when the bytes of the weight files, with headers and padding, are known.
using RunReportText = std::function<std::string(std::int64_t file_bytes)>;

/// A store that makes a model folder or file.
class SavingStore : public WeightStore {
 public:
  /// Splits the weights into files of at most `bytes`, before the first tensor is put. A tensor
  /// that is larger has a file of its own.
  virtual void split_above(std::int64_t bytes) = 0;

  /// Adds everything that was not put and the tokenizer's files, writes what `run_report` returns
  /// as sgpt_mi.json, where the format has room for it, and moves the result into place.
  virtual void finish(const RunReportText& run_report) = 0;

  /// Name of the run report inside a saved folder; marks folders that may be replaced.
  static constexpr const char* kReportFile = "sgpt_mi.json";
};

/// A way to write a compressed model, with what the rest of the program has to know of it. A new
/// format is a row of kFormats in format.cpp and a SavingStore beside model_folders.cpp.
struct Format {
  std::string_view name;         ///< --format NAME
  std::string_view description;  ///< for the plan: "packed"
  /// Matrices are kept as codes, masks and grids: scales are rounded as they are stored before they
  /// are used, and sizes follow from the widths. Else as dense tensors in the checkpoint's types.
  bool holds_codes = false;
  /// Matrices are kept in blocks of ggml's types (blocks/block_types.h), each tensor in its own.
  bool holds_blocks = false;
  /// Starts a folder that appears when it is complete. Throws as io::StagedFolder. Both references
  /// must outlive the store.
  std::unique_ptr<SavingStore> (*open)(const std::filesystem::path& target,
                                       const Checkpoint& checkpoint, const SavedTypes& types);
  GridLimits grids = {};  ///< of a format that holds codes
  /// Refuses, before any work, a model that the format cannot hold: Error(kUsage) or Error(kInput).
  /// Null: it holds every model.
  void (*check)(const Checkpoint& checkpoint) = nullptr;
  /// The target is a file, which has no room for a run report, instead of a folder.
  bool is_file = false;
};

/// Throws Error(kUsage) when what is saved at `target` would take the place of the model there.
void require_other_place(const std::filesystem::path& target, const ModelLocation& model);

/// The format of a name. Throws Error(kUsage) listing the names.
[[nodiscard]] const Format& find_format(std::string_view name);

/// The first format that keeps codes, or that keeps dense tensors.
[[nodiscard]] const Format& default_format(bool holds_codes);

/// What "auto" means: of a target NAME.gguf the file's format, else default_format().
[[nodiscard]] const Format& format_for(const std::filesystem::path& target, bool holds_codes);

}  // namespace sgpt_mi::formats

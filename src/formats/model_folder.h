#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::formats {

/// What a folder's weights may lie in, in the order in which they are looked for.
inline constexpr std::array<std::string_view, 4> kWeightFiles{
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json"};

/// The first of them that is there; nothing when none is.
[[nodiscard]] std::optional<std::string_view> find_weight_file(const std::filesystem::path& folder);

/// The same; throws Error(kInput) listing them when there is none.
[[nodiscard]] std::string_view require_weight_file(const std::filesystem::path& folder);

/// What every format's folder does around the tensors' files.
class ModelFolder : public SavingStore {
 public:
  /// As Format::open.
  ModelFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
              const SavedTypes& types);

  void finish(const RunReportText& run_report) final;

 protected:
  /// Writes a dense tensor.
  virtual void write(const containers::TensorData& tensor) = 0;
  /// Completes the tensors' files, writes config.json and returns the bytes of the former.
  virtual std::int64_t finish_files() = 0;

  const Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  std::unordered_set<std::string> written_;
};

/// Copies a file. Throws Error(kInput) naming both places.
void copy_to(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace sgpt_mi::formats

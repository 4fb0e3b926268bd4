#pragma once

#include <torch/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "coded_copy.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/compress/picture_record.h"
#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::compress {

/// One compressed linear as it was when nothing of it had been handed on.
struct RecordedLinear {
  std::string name;
  obs::CompressedMatrix matrix;  ///< its weight maybe in the saved type
  report::LayerReport layer;
  std::int64_t level_bits = 0;   ///< what LevelBudget::settle() is told
  SharedLevels coded = nullptr;  ///< null of one from another rank or a journal
};

/// What the compression of linears of one site found.
struct SiteRecord {
  std::vector<RecordedLinear> linears;
  /// Norms and foreign weights that channel scaling changed, in their saved types.
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  std::vector<GroupPicture> pictures;
  std::vector<std::string> warnings;
};

/// A record as a value and tensors by name.
struct PackedRecord {
  nlohmann::json value;
  std::vector<containers::TensorData> tensors;
};

[[nodiscard]] PackedRecord pack(const SiteRecord& record);

/// What pack() packed.
[[nodiscard]] SiteRecord unpack(const nlohmann::json& value, const TensorLookup& tensors);

}  // namespace sgpt_mi::compress

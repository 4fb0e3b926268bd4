#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coded_copy.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/tuning/tune_model.h"

namespace sgpt_mi::compress {

/// What becomes of compressed linears: rank 0 hands them to the run's store, at once or when the
/// model is tuned; the others keep their reports alone.
class ResultKeeper {
 public:
  /// \param run  outlives this.
  explicit ResultKeeper(const BlockRun& run) : run_(run) {}

  /// Whether the model is tuned: tune() is then to be called after the last block.
  [[nodiscard]] bool tunes() const { return run_.settings.tune > 0; }

  /// \param coded  the linear's levels, where they have been coded.
  void take(tuning::CompressedLinear&& done, report::LayerReport layer, const SharedLevels& coded);
  /// A norm, or a weight that is not compressed, in its saved type.
  void take(const std::string& name, const torch::Tensor& rounded);
  void add_picture(const GroupPicture& picture) { result_.pictures.push_back(picture); }

  /// Of the linear that was taken last.
  [[nodiscard]] const report::LayerReport& last_layer() const;

  /// A matrix's values in their saved type.
  [[nodiscard]] torch::Tensor rounded(const model::LinearInfo& linear,
                                      const obs::CompressedMatrix& matrix) const;

  /// Tunes the model on rank 0, and hands all that waited to the store; the others wait.
  /// \param student  embedding and head as they are saved, over the model's other tensors; takes
  ///                 the norms that channels were scaled in.
  void tune(formats::MemoryStore& student);

  /// What was done, in processing order.
  [[nodiscard]] BlockResult take_result() { return std::move(result_); }

 private:
  /// What waits for the end of the model.
  struct Pending {
    std::vector<tuning::CompressedLinear> linears;
    std::vector<report::LayerReport> layers;       ///< of the linears
    std::map<std::string, torch::Tensor> tensors;  ///< in their saved types, by checkpoint name
  };

  void finish_linear(const tuning::CompressedLinear& done, report::LayerReport layer,
                     const SharedLevels& coded);
  [[nodiscard]] std::int64_t store_linear(const tuning::CompressedLinear& done,
                                          const SharedLevels& coded);
  [[nodiscard]] std::int64_t store_blocks(const tuning::CompressedLinear& done);
  void report_tuning(const tuning::TunedModel& tuned);

  const BlockRun& run_;
  Pending pending_;
  BlockResult result_;
};

}  // namespace sgpt_mi::compress

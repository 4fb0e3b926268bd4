#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::compress {

/// One compressed linear as it was when nothing of it had been handed on.
struct RecordedLinear {
  std::string name;
  obs::CompressedMatrix matrix;  ///< its weight maybe in the saved type
  report::LayerReport layer;
  std::int64_t level_bits = 0;  ///< what LevelBudget::settle() was told
};

/// What the compression of one site's linears found.
struct SiteRecord {
  std::vector<RecordedLinear> linears;
  /// Norms and foreign weights that channel scaling changed, in their saved types.
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  std::vector<GroupPicture> pictures;
};

/// The sites of a run in its journal.
class SiteJournal {
 public:
  /// \param journal  outlives this; nullptr: nothing is kept and nothing known.
  explicit SiteJournal(journal::RunJournal* journal) : journal_(journal) {}

  /// Whether a process before this one finished the site; its record then waits for take().
  [[nodiscard]] bool knows(std::int64_t layer, model::Site site);

  /// The record of a site that knows() found.
  [[nodiscard]] std::optional<SiteRecord> take(std::int64_t layer, model::Site site);

  void keep(std::int64_t layer, model::Site site, const SiteRecord& record);

 private:
  using Key = std::pair<std::int64_t, model::Site>;

  journal::RunJournal* journal_;
  std::map<Key, SiteRecord> known_;
};

}  // namespace sgpt_mi::compress

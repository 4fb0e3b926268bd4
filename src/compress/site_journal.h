#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/ranks/world.h"
#include "site_record.h"

namespace sgpt_mi::compress {

/// The record of rank `from`, on every rank.
[[nodiscard]] SiteRecord exchanged(const ranks::World& world, const SiteRecord& record, int from);

/// The sites of a run in its journal, which rank 0 has. All ranks call knows() and take() for the
/// same sites in the same order.
class SiteJournal {
 public:
  /// \param journal  outlives this; nullptr: nothing is kept and, on rank 0, nothing known.
  SiteJournal(journal::RunJournal* journal, ranks::World world)
      : journal_(journal), world_(std::move(world)) {}

  /// Whether a process before this one finished the site; its record then waits for take().
  [[nodiscard]] bool knows(std::int64_t layer, model::Site site);

  /// The record of a site that knows() found.
  [[nodiscard]] std::optional<SiteRecord> take(std::int64_t layer, model::Site site);

  void keep(std::int64_t layer, model::Site site, const SiteRecord& record);

 private:
  using Key = std::pair<std::int64_t, model::Site>;

  /// Whether the journal has it; it then is in known_.
  [[nodiscard]] bool read(const Key& key);

  journal::RunJournal* journal_;
  ranks::World world_;
  std::map<Key, SiteRecord> known_;  // elsewhere than on rank 0 empty records
};

}  // namespace sgpt_mi::compress

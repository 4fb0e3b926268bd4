#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/memory/memory_plan.h"
#include "sgpt_mi/ranks/lanes.h"

namespace sgpt_mi::memory {

/// The bytes that the stages of a compression take, counted from shapes. Upper estimates: where a
/// step has two ways, the larger one.
class MemoryCounts {
 public:
  explicit MemoryCounts(const MemoryQuestion& question);

  /// Every stage of the run in order, without the activations of the calibration windows. `device`
  /// is what is where the run computes.
  [[nodiscard]] std::vector<MemoryPhase> phases(std::int64_t batch) const;

  /// Activations of the calibration windows in a phase: states of all streams between sites.
  [[nodiscard]] std::int64_t activations(const std::string& phase) const;
  [[nodiscard]] std::int64_t largest_activations() const;

  /// The state of one batch of one stream.
  [[nodiscard]] std::int64_t state_bytes(std::int64_t batch) const;
  /// What it takes in pinned memory.
  [[nodiscard]] std::int64_t pinned_state(std::int64_t batch) const;
  /// Batches that do not stay on the device: one in use and, on a GPU, one on its way, a stream.
  [[nodiscard]] std::int64_t fetched(std::int64_t batch) const;
  /// Temporaries of a calibration forward of so many windows.
  [[nodiscard]] std::int64_t forward(std::int64_t batch) const;

 private:
  /// One site's shapes, over the linears that read it.
  struct SiteShape {
    std::int64_t columns = 0;
    std::int64_t largest = 0;  ///< rows * columns of the largest linear
  };

  [[nodiscard]] MemoryPhase scoring(const char* name) const;
  [[nodiscard]] MemoryPhase sensitivities() const;
  [[nodiscard]] MemoryPhase curves(std::int64_t batch) const;
  [[nodiscard]] MemoryPhase check(std::int64_t batch) const;
  [[nodiscard]] MemoryPhase calibration(std::int64_t batch) const;
  [[nodiscard]] MemoryPhase solving() const;
  [[nodiscard]] MemoryPhase tuning(std::int64_t batch) const;

  [[nodiscard]] std::int64_t weights() const;
  [[nodiscard]] std::int64_t end_on_its_way() const;
  [[nodiscard]] std::int64_t pending() const;
  [[nodiscard]] std::int64_t block_forward(std::int64_t tokens) const;
  [[nodiscard]] std::int64_t graph(std::int64_t tokens) const;
  [[nodiscard]] std::int64_t sums(bool together, bool drift) const;
  [[nodiscard]] std::int64_t factor_workspace() const;
  [[nodiscard]] std::int64_t solve_workspace() const;
  [[nodiscard]] std::int64_t curve_workspace() const;
  [[nodiscard]] std::int64_t states(std::int64_t windows, int streams, bool between_sites) const;
  [[nodiscard]] std::int64_t stored_weights() const;
  void add_results(MemoryPhase& phase) const;
  [[nodiscard]] ranks::Lanes lanes_of(std::int64_t windows) const;
  [[nodiscard]] std::int64_t own(std::int64_t windows) const;
  void add_waiting(MemoryPhase& phase, std::int64_t windows, std::int64_t sums, int ranks) const;

  const MemoryQuestion& question_;
  std::vector<SiteShape> sites_;
  std::int64_t element_;  // bytes of a value in the compute type
  std::int64_t hidden_;
  std::int64_t widest_ = 0;   // columns of the widest site
  std::int64_t block_ = 0;    // weights of a block
  std::int64_t largest_ = 0;  // weights of its largest linear
  std::int64_t ends_ = 0;     // parameters outside the blocks' linears
};

}  // namespace sgpt_mi::memory

#pragma once

#include <torch/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sgpt_mi/memory/activation_space.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::memory {

/// The states of all batches of one stream between two sites of a walk.
///
/// A state lies where its space has room: on the device that computes, in host memory or in a file;
/// what comes back has the same bits. put() copies a state that is not laid out contiguously, so
/// that what comes back is laid out the same wherever it was.
class ActivationStore {
 public:
  /// Room for `batches` states, all empty. `space` must outlive the store.
  ActivationStore(ActivationSpace& space, std::size_t batches);
  ~ActivationStore();
  ActivationStore(ActivationStore&& other) noexcept;
  ActivationStore& operator=(ActivationStore&& other) noexcept;

  [[nodiscard]] std::size_t size() const;

  /// Replaces a state. Throws Error(kInput) when the file's disk is full.
  void put(std::size_t index, const model::BlockState& state);

  /// A state, on the device. It stays here too.
  [[nodiscard]] model::BlockState get(std::size_t index);
  /// A state, on the device, which is empty here from now on.
  [[nodiscard]] model::BlockState take(std::size_t index);

  /// Starts fetching a state that does not lie on the device; beyond the last: nothing.
  void fetch_ahead(std::size_t index);

  /// Whether a state lies on the device.
  [[nodiscard]] bool on_device(std::size_t index) const;

  /// The same states again. Those on the device share their memory with these until they change,
  /// but count twice.
  [[nodiscard]] ActivationStore copy();

 private:
  class Slot;
  ActivationSpace* space_;
  std::vector<Slot> slots_;  ///< two a batch: hidden, pending
};

}  // namespace sgpt_mi::memory

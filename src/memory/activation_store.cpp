#include "sgpt_mi/memory/activation_store.h"

#include <span>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::memory {

/// One tensor in its place.
class ActivationStore::Slot {
 public:
  explicit Slot(ActivationSpace& space) : space_(&space) {}
  ~Slot() { clear(); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  Slot(Slot&& other) noexcept
      : space_(other.space_), held_(std::exchange(other.held_, std::nullopt)) {}
  Slot& operator=(Slot&& other) noexcept {
    if (this == &other) return *this;
    clear();
    space_ = other.space_;
    held_ = std::exchange(other.held_, std::nullopt);
    return *this;
  }

  void put(const torch::Tensor& tensor);
  [[nodiscard]] torch::Tensor get();
  void fetch_ahead();
  [[nodiscard]] bool on_device() const { return !held_ || held_->place == Place::kDevice; }
  void clear();

 private:
  using Place = ActivationSpace::Place;

  struct Held {
    Place place = Place::kDevice;
    std::int64_t bytes = 0;
    std::vector<std::int64_t> sizes;
    torch::ScalarType type = torch::kFloat32;
    LaneCopy kept = {};                  ///< on the device or in host memory
    FileRegions::Region region = {};     ///< in the file
    std::optional<LaneCopy> ahead = {};  ///< on its way back to the device
  };

  [[nodiscard]] LaneCopy start_fetch();
  [[nodiscard]] torch::Tensor read_file() const;
  void write_file(const torch::Tensor& tensor);

  ActivationSpace* space_;
  std::optional<Held> held_;
};

void ActivationStore::Slot::clear() {
  if (!held_) return;
  if (held_->place == Place::kFile) space_->regions().give_back(held_->region);
  space_->release(held_->place, held_->bytes);
  held_.reset();
}

void ActivationStore::Slot::put(const torch::Tensor& tensor) {
  clear();
  if (!tensor.defined()) return;
  const torch::Tensor values = tensor.contiguous();
  const auto bytes = static_cast<std::int64_t>(values.nbytes());
  held_.emplace(Held{space_->reserve(bytes), bytes, values.sizes().vec(), values.scalar_type()});
  switch (held_->place) {
    case Place::kDevice:
      held_->kept.value = values;
      return;
    case Place::kHost:
      held_->kept = space_->lane().to_host(values);
      return;
    case Place::kFile:
      held_->region = space_->regions().take(static_cast<std::uint64_t>(bytes));
      return write_file(values);
  }
}

void ActivationStore::Slot::write_file(const torch::Tensor& tensor) {
  LaneCopy on_host{tensor};
  if (!tensor.is_cpu()) on_host = space_->lane().to_host(tensor);
  wait_for(on_host);
  const auto* data = static_cast<const std::byte*>(on_host.value.const_data_ptr());
  space_->file().write(held_->region.offset, {data, static_cast<std::size_t>(held_->bytes)});
}

torch::Tensor ActivationStore::Slot::read_file() const {
  torch::Tensor tensor = space_->lane().host_tensor(held_->sizes, held_->type);
  auto* data = static_cast<std::byte*>(tensor.mutable_data_ptr());
  space_->file().read(held_->region.offset, {data, static_cast<std::size_t>(held_->bytes)});
  return tensor;
}

LaneCopy ActivationStore::Slot::start_fetch() {
  if (held_->place == Place::kHost) return space_->lane().to_device(held_->kept.value);
  const torch::Tensor read = read_file();
  return space_->device().is_cpu() ? LaneCopy{read} : space_->lane().to_device(read);
}

torch::Tensor ActivationStore::Slot::get() {
  if (!held_) return {};
  if (held_->place == Place::kDevice) return held_->kept.value;
  LaneCopy copy = held_->ahead ? *std::exchange(held_->ahead, std::nullopt) : start_fetch();
  return space_->lane().use(std::move(copy));
}

void ActivationStore::Slot::fetch_ahead() {
  if (!held_ || held_->ahead) return;
  if (held_->place == Place::kHost) {
    held_->ahead = start_fetch();
  } else if (held_->place == Place::kFile) {
    space_->file().will_need(held_->region.offset, static_cast<std::size_t>(held_->bytes));
  }
}

ActivationStore::ActivationStore(ActivationSpace& space, std::size_t batches) : space_(&space) {
  slots_.reserve(2 * batches);
  for (std::size_t i = 0; i < 2 * batches; ++i) slots_.emplace_back(space);
}

ActivationStore::~ActivationStore() = default;
ActivationStore::ActivationStore(ActivationStore&& other) noexcept = default;
ActivationStore& ActivationStore::operator=(ActivationStore&& other) noexcept = default;

std::size_t ActivationStore::size() const { return slots_.size() / 2; }

void ActivationStore::put(std::size_t index, const model::BlockState& state) {
  slots_.at(2 * index).put(state.hidden);
  slots_.at(2 * index + 1).put(state.pending);
}

model::BlockState ActivationStore::get(std::size_t index) {
  return {slots_.at(2 * index).get(), slots_.at(2 * index + 1).get()};
}

model::BlockState ActivationStore::take(std::size_t index) {
  model::BlockState state = get(index);
  slots_[2 * index].clear();
  slots_[2 * index + 1].clear();
  return state;
}

void ActivationStore::fetch_ahead(std::size_t index) {
  if (index >= size()) return;
  slots_[2 * index].fetch_ahead();
  slots_[2 * index + 1].fetch_ahead();
}

bool ActivationStore::on_device(std::size_t index) const {
  return slots_.at(2 * index).on_device() && slots_.at(2 * index + 1).on_device();
}

ActivationStore ActivationStore::copy() {
  ActivationStore same(*space_, size());
  for (std::size_t i = 0; i < size(); ++i) {
    fetch_ahead(i + 1);
    same.put(i, get(i));
  }
  return same;
}

}  // namespace sgpt_mi::memory

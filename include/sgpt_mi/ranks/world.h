#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace sgpt_mi::ranks {

/// How bytes travel between the processes of one run. All calls are made by one thread, by every
/// rank that they concern, and in one order.
class Transport {
 public:
  virtual ~Transport() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// The place of this rank among those on its machine, and their number.
  [[nodiscard]] virtual int local_rank() const = 0;
  [[nodiscard]] virtual int local_size() const = 0;
  /// Of a rank's machine.
  [[nodiscard]] virtual std::string host(int rank) const = 0;
  /// "rank 2 on node-7"
  [[nodiscard]] std::string name_of(int rank) const;

  /// Returns when the bytes may change.
  virtual void send(std::span<const std::byte> bytes, int to) = 0;
  virtual void receive(std::span<std::byte> bytes, int from) = 0;
  /// Of all ranks: the bytes of `from` are everybody's.
  virtual void broadcast(std::span<std::byte> bytes, int from) = 0;
};

/// How tensors travel between the GPUs of the ranks, in the order of the current streams: a call
/// returns before the bytes have moved, and what follows on the stream waits for them.
class DeviceWire {
 public:
  virtual ~DeviceWire() = default;

  /// Index of this rank's GPU.
  [[nodiscard]] virtual int device() const = 0;
  virtual void send(const void* bytes, std::size_t count, int to) = 0;
  virtual void receive(void* bytes, std::size_t count, int from) = 0;
  virtual void broadcast(void* bytes, std::size_t count, int from) = 0;
};

/// The processes of one run, its ranks: those that mpirun or srun started together, or this one
/// alone. Every rank runs the same command on its share of the work; rank 0 leads: it tells, keeps
/// the journal and saves. A handle; copies are the same ranks.
///
/// Of one rank nothing is ever sent.
class World {
 public:
  World() = default;  ///< this process alone
  explicit World(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  [[nodiscard]] int rank() const { return transport_ ? transport_->rank() : 0; }
  [[nodiscard]] int size() const { return transport_ ? transport_->size() : 1; }
  [[nodiscard]] int local_rank() const { return transport_ ? transport_->local_rank() : 0; }
  [[nodiscard]] int local_size() const { return transport_ ? transport_->local_size() : 1; }
  [[nodiscard]] bool leads() const { return rank() == 0; }
  [[nodiscard]] bool alone() const { return size() == 1; }
  /// As the transport's; "rank 0" of a process that is alone.
  [[nodiscard]] std::string name_of(int rank) const;

  void send(std::span<const std::byte> bytes, int to) const;
  void receive(std::span<std::byte> bytes, int from) const;
  void broadcast(std::span<std::byte> bytes, int from) const;

  /// Bytes that have arrived at this rank so far.
  [[nodiscard]] std::int64_t received() const { return shared_->received; }
  void count_received(std::size_t bytes) const {
    shared_->received += static_cast<std::int64_t>(bytes);
  }

  /// Tensors of GPUs travel by this wire from now on, for all handles; null: through the host.
  void use(std::shared_ptr<DeviceWire> wire) const { shared_->wire = std::move(wire); }
  [[nodiscard]] DeviceWire* wire() const { return shared_->wire.get(); }

 private:
  struct Shared {
    std::int64_t received = 0;
    std::shared_ptr<DeviceWire> wire;
  };

  std::shared_ptr<Transport> transport_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace sgpt_mi::ranks

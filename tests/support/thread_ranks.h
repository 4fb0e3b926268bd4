#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::test {

/// Letters between the threads that play ranks.
class Mail {
 public:
  void put(int from, int to, std::vector<std::byte> letter) {
    const std::lock_guard lock(mutex_);
    boxes_[{from, to}].push_back(std::move(letter));
    arrived_.notify_all();
  }
  std::vector<std::byte> take(int from, int to) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{from, to}];
    arrived_.wait(lock, [&] { return !box.empty(); });
    std::vector<std::byte> letter = std::move(box.front());
    box.pop_front();
    return letter;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> boxes_;
};

class ThreadTransport : public ranks::Transport {
 public:
  ThreadTransport(Mail& mail, int rank, int size) : mail_(mail), rank_(rank), size_(size) {}
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return rank_; }
  [[nodiscard]] int local_size() const override { return size_; }
  [[nodiscard]] std::string host(int /*rank*/) const override { return "thread"; }
  void send(std::span<const std::byte> bytes, int to) override {
    mail_.put(rank_, to, {bytes.begin(), bytes.end()});
  }
  void receive(std::span<std::byte> bytes, int from) override {
    const std::vector<std::byte> letter = mail_.take(from, rank_);
    if (letter.size() != bytes.size()) throw std::length_error("a letter of another length");
    std::copy(letter.begin(), letter.end(), bytes.begin());
  }
  void broadcast(std::span<std::byte> bytes, int from) override {
    if (rank_ != from) return receive(bytes, from);
    for (int to = 0; to < size_; ++to) {
      if (to != from) send(bytes, to);
    }
  }

 private:
  Mail& mail_;
  int rank_;
  int size_;
};

/// Runs work(world) in `size` threads, each a rank; throws what the first rank that failed threw,
/// provided that all ranks end.
inline void on_ranks(int size, const std::function<void(const ranks::World&)>& work) {
  if (size == 1) return work(ranks::World());
  Mail mail;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        work(ranks::World(std::make_shared<ThreadTransport>(mail, rank, size)));
      } catch (...) {
        failures[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace sgpt_mi::test

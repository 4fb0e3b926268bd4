#include <mpi.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launch.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/ranks/job.h"

namespace sgpt_mi::ranks {
namespace {

using Clock = std::chrono::steady_clock;

/// MPI counts in int.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr std::chrono::milliseconds kBusyWait{5};
constexpr useconds_t kPause = 20;
constexpr std::chrono::seconds kUntilLeaderEnds{20};

/// Messages of the work, and of errors.
constexpr int kWorkTag = 1;
constexpr int kErrorTag = 2;

bool is_launched() {
  constexpr std::array<const char*, 4> kMarks{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
                                              "PMI_SIZE"};
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [](const char* mark) { return std::getenv(mark) != nullptr; });
}

std::chrono::seconds patience() {
  const char* typed = std::getenv("SGPT_MI_RANK_TIMEOUT");
  const auto seconds = typed == nullptr ? std::optional(1800) : whole_number<int>(typed);
  if (!seconds || *seconds < 1) {
    fail(ErrorKind::kUsage, "ranks: SGPT_MI_RANK_TIMEOUT is '{}'; expected seconds, 1 or more",
         typed);
  }
  return std::chrono::seconds(*seconds);
}

class MpiTransport : public Transport {
 public:
  MpiTransport() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_dup(MPI_COMM_WORLD, &errors_);
    MPI_Comm local = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local);
    MPI_Comm_rank(local, &local_rank_);
    MPI_Comm_size(local, &local_size_);
    MPI_Comm_free(&local);
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    std::vector<char> names(name.size() * static_cast<std::size_t>(size_));
    constexpr int kNameBytes = 256;
    MPI_Allgather(name.data(), kNameBytes, MPI_CHAR, names.data(), kNameBytes, MPI_CHAR,
                  MPI_COMM_WORLD);
    for (int i = 0; i < size_; ++i) {
      hosts_.emplace_back(names.data() + static_cast<std::size_t>(i) * name.size());
    }
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] int local_rank() const override { return local_rank_; }
  [[nodiscard]] int local_size() const override { return local_size_; }
  [[nodiscard]] std::string host(int rank) const override {
    return hosts_.at(static_cast<std::size_t>(rank));
  }

  void send(std::span<const std::byte> bytes, int to) override {
    in_pieces(bytes, [&](std::span<const std::byte> piece) {
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Isend(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, to, kWorkTag,
                MPI_COMM_WORLD, &request);
      wait(request, to);
    });
  }

  void receive(std::span<std::byte> bytes, int from) override {
    in_pieces(bytes, [&](std::span<std::byte> piece) {
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Irecv(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, from, kWorkTag,
                MPI_COMM_WORLD, &request);
      wait(request, from);
    });
  }

  void broadcast(std::span<std::byte> bytes, int from) override {
    in_pieces(bytes, [&](std::span<std::byte> piece) {
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Ibcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, from, MPI_COMM_WORLD,
                 &request);
      wait(request, from);
    });
  }

  void barrier() {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    wait(request, rank_);
  }

  /// Tells rank 0 of an error of this rank; it may never hear it.
  void tell_error(const Error& error) {
    const std::string text = fmt::format("{}{}", static_cast<char>(error.kind()), error.what());
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Isend(text.data(), static_cast<int>(text.size()), MPI_CHAR, 0, kErrorTag, errors_,
              &request);
    const auto end = Clock::now() + kUntilLeaderEnds;
    int done = 0;
    while (Clock::now() < end) {
      if (done == 0) MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      usleep(1000);
    }
  }

 private:
  template <typename Byte, typename Exchange>
  static void in_pieces(std::span<Byte> bytes, const Exchange& exchange) {
    for (std::size_t first = 0; first < bytes.size(); first += kMostBytes) {
      exchange(bytes.subspan(first, std::min(kMostBytes, bytes.size() - first)));
    }
  }

  /// Waits with an eye on errors of other ranks, on Ctrl-C and on the clock. The processor is left
  /// to others meanwhile: ranks may share it.
  /// \param with  the rank that the request waits for; this one: for all.
  void wait(MPI_Request& request, int with) {
    const auto start = Clock::now();
    auto next_look = start + kBusyWait;
    int done = 0;
    while (true) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done != 0) return;
      const auto now = Clock::now();
      if (now < start + kBusyWait) {
        sched_yield();
        continue;
      }
      usleep(kPause);
      if (now < next_look) continue;
      next_look = now + kBusyWait;
      if (rank_ == 0) throw_error_of_others();
      check_interrupt();
      if (now - start > patience_) fail_silent(with);
    }
  }

  void throw_error_of_others() {
    int found = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kErrorTag, errors_, &found, &status);
    if (found == 0) return;
    int size = 0;
    MPI_Get_count(&status, MPI_CHAR, &size);
    std::string text(static_cast<std::size_t>(size), ' ');
    MPI_Recv(text.data(), size, MPI_CHAR, status.MPI_SOURCE, kErrorTag, errors_, MPI_STATUS_IGNORE);
    throw Error(static_cast<ErrorKind>(static_cast<unsigned char>(text.front())),
                fmt::format("{}: {}", name_of(status.MPI_SOURCE), text.substr(1)));
  }

  [[noreturn]] void fail_silent(int with) const {
    fail(ErrorKind::kDevice,
         "ranks: {} has waited {} seconds for {}; it hangs, its machine does, or it is far slower "
         "than the others (SGPT_MI_RANK_TIMEOUT=SECONDS waits longer)",
         name_of(rank_), patience_.count(), with == rank_ ? "other ranks" : name_of(with));
  }

  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  MPI_Comm errors_ = MPI_COMM_NULL;
  std::vector<std::string> hosts_;
  std::chrono::seconds patience_ = patience();
};

}  // namespace

Job::Job() {
  if (!is_launched()) {
    require_one_task("start it with srun --mpi=pmix, or mpirun");
    return;
  }
  int level = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
  install_interrupt_handlers();  // MPI may have put its own in their place
  transport_ = std::make_shared<MpiTransport>();
  if (transport_->size() > 1) world_ = World(transport_);
}

Job::~Job() {
  if (transport_) MPI_Finalize();  // ranks that fail do not come here
}

void Job::finish() {
  if (!world_.alone()) static_cast<MpiTransport&>(*transport_).barrier();
}

void Job::fail(const Error& error, const std::function<void(const Error&)>& show) {
  if (world_.alone()) return show(error);
  if (world_.leads()) {
    show(error);
  } else {
    static_cast<MpiTransport&>(*transport_).tell_error(error);
    // Rank 0 has not ended this process meanwhile: it is busy.
    show(Error(error.kind(), fmt::format("{}: {}", world_.name_of(world_.rank()), error.what())));
  }
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(error.kind()));
}

}  // namespace sgpt_mi::ranks

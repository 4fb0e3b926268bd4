#include "sgpt_mi/memory/memory_plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "memory_counts.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::memory {
namespace {

/// Tokens of a forward beyond which a GPU's products are no faster.
constexpr std::int64_t kTokensOfForward = 16384;
constexpr std::int64_t kCpuBatchWindows = 4;
/// Share of the memory that a forward's temporaries may take on a GPU before anything else has to.
constexpr std::int64_t kForwardShare = 4;

/// What the program, LibTorch's libraries and the allocators take beyond what is counted: pages of
/// code that are first used during a run, thread stacks, freed memory that is not given back.
constexpr std::int64_t kHostOverhead = 200'000'000;
/// A CUDA context with LibTorch's and the program's kernels, and the libraries' workspaces.
constexpr std::int64_t kDeviceOverhead = 700'000'000;

std::int64_t limit_of(const MemoryLimit& limit) {
  return limit.bytes.value_or(std::numeric_limits<std::int64_t>::max());
}

class Planner {
 public:
  Planner(const MemoryQuestion& question, const MemoryLimits& limits)
      : question_(question), limits_(limits), counts_(question) {}

  [[nodiscard]] MemoryPlan plan() {
    MemoryPlan plan;
    plan.batch_windows = first_batch();
    while (!try_plan(plan) && plan.batch_windows > 1 && may_shrink()) plan.batch_windows /= 2;
    refuse(plan);
    return plan;
  }

 private:
  [[nodiscard]] bool on_gpu() const { return question_.placement.device.is_cuda(); }
  [[nodiscard]] std::int64_t compute_limit() const {
    return limit_of(on_gpu() ? limits_.device : limits_.host);
  }
  /// Whether fewer windows a forward may be taken. On a CPU only for a limit that was asked for:
  /// results, which differ by rounding, then do not depend on what else is running.
  [[nodiscard]] bool may_shrink() const {
    return question_.batch_windows == 0 && (on_gpu() || limits_.host.asked_for);
  }
  [[nodiscard]] std::int64_t first_batch() const;
  [[nodiscard]] bool try_plan(MemoryPlan& plan) const;
  [[nodiscard]] std::vector<MemoryPhase> phases(std::int64_t batch) const;
  void place_activations(MemoryPlan& plan) const;
  void refuse(const MemoryPlan& plan) const;
  void refuse_side(const MemoryLimit& limit, const MemoryPhase& phase, const MemoryNeeds& needs,
                   const char* side) const;

  const MemoryQuestion& question_;
  const MemoryLimits& limits_;
  MemoryCounts counts_;
};

std::int64_t Planner::first_batch() const {
  if (question_.batch_windows > 0) return question_.batch_windows;
  if (!on_gpu()) return std::min(kCpuBatchWindows, question_.windows);
  std::int64_t batch = std::clamp<std::int64_t>(kTokensOfForward / question_.seqlen, 1,
                                                std::max<std::int64_t>(1, question_.windows));
  while (batch > 1 && counts_.forward(batch) > compute_limit() / kForwardShare) batch /= 2;
  return batch;
}

std::vector<MemoryPhase> Planner::phases(std::int64_t batch) const {
  std::vector<MemoryPhase> phases = counts_.phases(batch);
  for (MemoryPhase& phase : phases) {
    MemoryNeeds host{{"program", question_.program_bytes + kHostOverhead}};
    if (on_gpu()) {
      phase.device.insert(phase.device.begin(), {"CUDA context", kDeviceOverhead});
    } else {
      host.insert(host.end(), phase.device.begin(), phase.device.end());
      phase.device.clear();
    }
    host.insert(host.end(), phase.host.begin(), phase.host.end());
    phase.host = std::move(host);
  }
  return phases;
}

/// Gives the activations of every phase that has them what the others leave.
void Planner::place_activations(MemoryPlan& plan) const {
  const std::int64_t limit = compute_limit();
  std::int64_t room = std::numeric_limits<std::int64_t>::max();
  std::int64_t host_room = limit_of(limits_.host);
  for (const MemoryPhase& phase : plan.phases) {
    if (counts_.activations(phase.name) == 0) continue;
    room = std::min(room, limit - total_of(on_gpu() ? phase.device : phase.host));
    host_room = std::min(host_room, limit_of(limits_.host) - total_of(phase.host));
  }
  plan.activation_bytes = counts_.largest_activations();
  if (plan.activation_bytes > room) {
    // What does not stay is fetched: a batch in use and one on its way, of every stream.
    room = std::max<std::int64_t>(0, room - counts_.fetched(plan.batch_windows));
  }
  plan.activations.device_bytes = std::min(room, plan.activation_bytes);
  std::int64_t rest = plan.activation_bytes - plan.activations.device_bytes;
  if (on_gpu()) {
    // Whole states of batches, as they are pinned.
    const std::int64_t state = counts_.state_bytes(plan.batch_windows);
    const std::int64_t pinned = counts_.pinned_state(plan.batch_windows);
    const std::int64_t wanted = (rest + state - 1) / state;
    const std::int64_t held = std::clamp<std::int64_t>(host_room / pinned, 0, wanted);
    plan.activations.host_bytes = held * pinned;
    plan.host_states = std::min(rest, held * state);
    rest -= plan.host_states;
  }
  plan.file_states = rest;
}

/// Fills the plan for its batch_windows; whether it keeps to the limit where the run computes.
bool Planner::try_plan(MemoryPlan& plan) const {
  plan.phases = phases(plan.batch_windows);
  place_activations(plan);
  for (MemoryPhase& phase : plan.phases) {
    const std::int64_t all = counts_.activations(phase.name);
    if (all == 0) continue;
    MemoryNeeds& compute = on_gpu() ? phase.device : phase.host;
    const std::int64_t here = std::min(all, plan.activations.device_bytes);
    compute.push_back({"activations", here});
    if (here < all) compute.push_back({"fetched batches", counts_.fetched(plan.batch_windows)});
    if (here < all && plan.host_states > 0) {
      phase.host.push_back({"pinned activations", plan.activations.host_bytes});
    }
  }
  return total_of(on_gpu() ? plan.device_peak().device : plan.host_peak().host) <= compute_limit();
}

void Planner::refuse_side(const MemoryLimit& limit, const MemoryPhase& phase,
                          const MemoryNeeds& needs, const char* side) const {
  const std::int64_t total = total_of(needs);
  if (!limit.asked_for || total <= *limit.bytes) return;
  fail(ErrorKind::kUsage,
       "max_memory: {} of {} memory are too few: {} takes {} ({}); give more, or fewer or shorter "
       "windows (--nsamples, --seqlen, --eval_windows)",
       human_bytes(*limit.bytes), side, phase.name, human_bytes(total), describe_needs(needs));
}

void Planner::refuse(const MemoryPlan& plan) const {
  if (on_gpu()) refuse_side(limits_.device, plan.device_peak(), plan.device_peak().device, "GPU");
  refuse_side(limits_.host, plan.host_peak(), plan.host_peak().host, "host");
}

}  // namespace

std::int64_t total_of(const MemoryNeeds& needs) {
  std::int64_t total = 0;
  for (const MemoryNeed& need : needs) total += need.bytes;
  return total;
}

std::string describe_needs(const MemoryNeeds& needs) {
  std::string text;
  for (const MemoryNeed& need : needs) {
    if (need.bytes == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", need.what, human_bytes(need.bytes));
  }
  return text;
}

const MemoryPhase& MemoryPlan::device_peak() const {
  return *std::max_element(phases.begin(), phases.end(), [](const auto& a, const auto& b) {
    return total_of(a.device) < total_of(b.device);
  });
}

const MemoryPhase& MemoryPlan::host_peak() const {
  return *std::max_element(phases.begin(), phases.end(), [](const auto& a, const auto& b) {
    return total_of(a.host) < total_of(b.host);
  });
}

MemoryPlan make_memory_plan(const MemoryQuestion& question, const MemoryLimits& limits) {
  return Planner(question, limits).plan();
}

}  // namespace sgpt_mi::memory

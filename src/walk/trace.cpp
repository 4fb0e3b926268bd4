#include "sgpt_mi/walk/trace.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::walk {
namespace {

std::atomic<Trace*> current_trace{nullptr};

/// Small numbers in the order in which threads first record something: rows of the picture.
int thread_number() {
  static std::atomic<int> known{0};
  thread_local const int number = known++;
  return number;
}

double microseconds(Trace::Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

Trace::Trace() {
  Trace* none = nullptr;
  ensure(current_trace.compare_exchange_strong(none, this), "pipeline: a second trace");
}

Trace::~Trace() { current_trace = nullptr; }

void Trace::record(const std::string& stage, const std::string& detail, Clock::time_point begin,
                   Clock::time_point end) {
  Trace* trace = current_trace;
  if (trace == nullptr) return;
  const std::lock_guard lock(trace->mutex_);
  trace->spans_.push_back({stage, detail, begin, end, thread_number()});
}

void Trace::write(const std::filesystem::path& path) const {
  const std::lock_guard lock(mutex_);
  std::vector<Span> spans = spans_;
  // Stages are recorded when they end; viewers expect the outer of two that begin together first.
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (const Span& span : spans) {
    nlohmann::ordered_json event{{"name", span.stage},
                                 {"cat", "stage"},
                                 {"ph", "X"},
                                 {"ts", microseconds(span.begin - start_)},
                                 {"dur", microseconds(span.end - span.begin)},
                                 {"pid", getpid()},
                                 {"tid", span.thread}};
    if (!span.detail.empty()) event["args"] = {{"of", span.detail}};
    events.push_back(std::move(event));
  }
  const nlohmann::ordered_json json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
  io::write_file_atomic(path, json.dump() + "\n");
}

}  // namespace sgpt_mi::walk

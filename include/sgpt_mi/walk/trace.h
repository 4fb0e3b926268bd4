#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace sgpt_mi::walk {

/// Records when every stage of a run began and ended, from its construction on. At most one exists
/// at a time: stages find it by themselves.
///
/// Memory: about 100 bytes a span; a run has some dozens a block. Without a Trace nothing is
/// recorded.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  /// Throws Error(kInternal) when there is one already.
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Adds a span of the calling thread to the trace that exists, if there is one.
  /// \param detail  what the stage worked on, such as a linear's name; may be empty.
  static void record(const std::string& stage, const std::string& detail, Clock::time_point begin,
                     Clock::time_point end);

  /// Writes the spans in Chrome's trace format (a JSON object with "traceEvents", complete events
  /// in microseconds), which chrome://tracing and Perfetto show as nested bars, one row a thread.
  /// Throws Error(kInput) when the file cannot be written.
  void write(const std::filesystem::path& path) const;

 private:
  struct Span {
    std::string stage;
    std::string detail;
    Clock::time_point begin;
    Clock::time_point end;
    int thread = 0;
  };

  Clock::time_point start_ = Clock::now();
  mutable std::mutex mutex_;
  std::vector<Span> spans_;
};

}  // namespace sgpt_mi::walk

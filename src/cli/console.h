#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "sgpt_mi/report/events.h"

namespace sgpt_mi::cli {

/// Between lines of progress in a pipe: a log that stays readable.
inline constexpr std::chrono::seconds kLineInterval{10};

/// Sets up the program's one logger: plain lines on stderr, level by --quiet and --verbose.
void set_up_logging(bool quiet, bool verbose);

/// Seconds for people: "42 s", "3:05", "1:02:03".
[[nodiscard]] std::string duration_text(double seconds);

/// A bar for `done` of `units` > 0.
[[nodiscard]] std::string bar_text(std::int64_t done, std::int64_t units);

/// A message for the terminal: printable() of every line. Names and texts from files may be in it,
/// and their control characters are not the terminal's.
[[nodiscard]] std::string shown(const std::string& message);

/// The same of an error, without its middle when it is longer than a page: what a damaged file
/// calls a name may be all of the file.
[[nodiscard]] std::string shown_error(const std::string& message);

/// Writes to stdout and checks that it arrived. Throws Error(kInput) when stdout is full or closed.
void print_out(const std::string& text);

/// Shows a run on stderr: plan, one line a linear, warnings; a progress bar with the remaining time
/// at the bottom of a terminal, or a plain line now and then in a pipe.
class Console : public report::Events {
 public:
  explicit Console(bool quiet);
  ~Console() override;

  void plan(const std::string& line) override;
  void stage(const std::string& name, std::int64_t units) override;
  void progress(std::int64_t done) override;
  void layer(const report::LayerReport& layer) override;
  void warning(const std::string& text) override;
  void result(const std::string& line) override;

 private:
  using Clock = std::chrono::steady_clock;

  void clear_bar();
  void draw_bar();
  [[nodiscard]] std::string progress_text() const;

  bool quiet_ = false;
  bool terminal_ = false;
  bool bar_shown_ = false;
  std::string stage_;
  std::int64_t units_ = 0;
  std::int64_t done_ = 0;
  Clock::time_point start_;
  Clock::time_point last_shown_;
};

}  // namespace sgpt_mi::cli

#pragma once

#include <chrono>
#include <string>

#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::cli {

/// Shows downloads on stderr: bytes, rate and remaining time at the bottom of a terminal, or a
/// plain line now and then in a pipe, and a line at the end.
class DownloadLine {
 public:
  explicit DownloadLine(bool quiet);
  ~DownloadLine();
  DownloadLine(const DownloadLine&) = delete;
  DownloadLine& operator=(const DownloadLine&) = delete;

  void show(const hub::Progress& progress);
  void warn(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  void clear();

  bool quiet_;
  bool terminal_;
  bool shown_ = false;
  std::string what_;
  Clock::time_point start_;
  Clock::time_point last_shown_;
};

/// "org/m: 12.0 MB of 96.0 MB, 4.0 MB/s, 21 s left" after `seconds`.
[[nodiscard]] std::string download_text(const hub::Progress& progress, double seconds);

}  // namespace sgpt_mi::cli

#include "download_line.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "console.h"
#include "sgpt_mi/core/byte_size.h"

namespace sgpt_mi::cli {

std::string download_text(const hub::Progress& progress, double seconds) {
  const double rate = seconds > 0.0 ? static_cast<double>(progress.fetched) / seconds : 0.0;
  const double left = static_cast<double>(progress.total - progress.done);
  const std::string so_far = fmt::format("{}: {} of {}", progress.what, human_bytes(progress.done),
                                         human_bytes(progress.total));
  if (progress.waiting) return so_far + ", waiting for another download";
  return fmt::format("{}, {}/s, {} left", so_far, human_bytes(static_cast<std::int64_t>(rate)),
                     rate > 0.0 ? duration_text(left / rate) : "?");
}

DownloadLine::DownloadLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

DownloadLine::~DownloadLine() { clear(); }

void DownloadLine::show(const hub::Progress& progress) {
  if (quiet_ || progress.total == 0) return;
  const auto now = Clock::now();
  if (what_ != progress.what) {
    what_ = progress.what;
    start_ = now;
    last_shown_ = now;
    spdlog::info("fetching {} from the Hub", what_);
  }
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (progress.finished) {
    clear();
    spdlog::info("fetched {}: {} files, {} in {}", what_, progress.files,
                 human_bytes(progress.fetched), duration_text(seconds));
    what_.clear();
  } else if (terminal_) {
    std::fputs(fmt::format("\r\033[K{} {}", bar_text(progress.done, progress.total),
                           download_text(progress, seconds))
                   .c_str(),
               stderr);
    std::fflush(stderr);
    shown_ = true;
  } else if (now - last_shown_ >= kLineInterval) {
    last_shown_ = now;
    spdlog::info("{}", download_text(progress, seconds));
  }
}

void DownloadLine::warn(const std::string& line) {
  clear();
  spdlog::warn("warning: {}", line);
}

void DownloadLine::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stderr);
  shown_ = false;
}

}  // namespace sgpt_mi::cli

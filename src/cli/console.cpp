#include "console.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kRedrawInterval = 100ms;  // a terminal: smooth enough, cheap

constexpr std::int64_t kBarWidth = 28;

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string bar_text(std::int64_t done, std::int64_t units) {
  const auto filled = static_cast<std::size_t>(kBarWidth * std::min(done, units) / units);
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "]";
}

void set_up_logging(bool quiet, bool verbose) {
  spdlog::drop("sgpt-mi");
  auto logger = spdlog::stderr_logger_st("sgpt-mi");
  logger->set_pattern("%v");
  logger->set_level(quiet     ? spdlog::level::warn
                    : verbose ? spdlog::level::debug
                              : spdlog::level::info);
  spdlog::set_default_logger(logger);
}

std::string shown(const std::string& message) {
  std::string lines;
  std::size_t begin = 0;
  for (std::size_t end = message.find('\n'); end != std::string::npos;
       end = message.find('\n', begin)) {
    lines += printable(std::string_view(message).substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return lines + printable(std::string_view(message).substr(begin));
}

std::string shown_error(const std::string& message) {
  constexpr std::size_t kStart = 1200;
  constexpr std::size_t kEnd = 300;  // what to do stands there
  if (message.size() <= kStart + kEnd) return shown(message);
  return printable_excerpt(message, 0, 0, kStart) + " ... " +
         printable_excerpt(message, message.size() - kEnd, 0, kEnd);
}

void print_out(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0) {
    fail(ErrorKind::kInput, "stdout: the results could not be written; is the disk full?");
  }
}

Console::Console(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

Console::~Console() { clear_bar(); }

void Console::plan(const std::string& line) { spdlog::info("{}", shown(line)); }

void Console::stage(const std::string& name, std::int64_t units) {
  clear_bar();
  stage_ = name;
  units_ = std::max<std::int64_t>(units, 1);
  done_ = 0;
  start_ = Clock::now();
  last_shown_ = start_;
  spdlog::debug("{}: {} steps", stage_, units_);
}

void Console::progress(std::int64_t done) {
  done_ = done;
  if (quiet_) return;
  const auto now = Clock::now();
  if (terminal_) {
    if (now - last_shown_ >= kRedrawInterval) draw_bar();
  } else if (now - last_shown_ >= kLineInterval) {
    last_shown_ = now;
    spdlog::info("{}", progress_text());
  }
}

void Console::layer(const report::LayerReport& layer) {
  clear_bar();
  spdlog::info(
      "{:<44} {:>5} x {:<5} sparsity {:.4f}  {} error {:.5f}  damping {:g}{}  "
      "{:.2f} s",
      layer.name, layer.rows, layer.columns, layer.sparsity,
      layer.type.empty() ? fmt::format("bits {:<2g} ", layer.average_bits)
                         : fmt::format("{:<7}", layer.type),
      layer.output_error, layer.damping,
      layer.dead_channels > 0 ? fmt::format("  dead {}", layer.dead_channels) : "", layer.seconds);
}

void Console::warning(const std::string& text) {
  clear_bar();
  spdlog::warn("warning: {}", shown(text));
}

void Console::result(const std::string& line) {
  clear_bar();
  spdlog::info("{}", shown(line));
}

void Console::clear_bar() {
  if (!bar_shown_) return;
  std::fputs("\r\033[K", stderr);
  bar_shown_ = false;
}

std::string Console::progress_text() const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double left =
      done_ > 0 ? elapsed * static_cast<double>(units_ - done_) / static_cast<double>(done_) : 0.0;
  return fmt::format("{} {}/{}, {} left", stage_, done_, units_,
                     done_ > 0 ? duration_text(left) : "?");
}

void Console::draw_bar() {
  last_shown_ = Clock::now();
  std::fputs(fmt::format("\r\033[K{} {}", bar_text(done_, units_), progress_text()).c_str(),
             stderr);
  std::fflush(stderr);
  bar_shown_ = true;
}

}  // namespace sgpt_mi::cli

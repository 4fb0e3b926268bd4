#pragma once

#include <spdlog/fmt/fmt.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace sgpt_mi {

/// What went wrong, and at the same time the exit code of the program.
enum class ErrorKind : int {
  kUsage = 2,         ///< flags or their combination
  kInput = 3,         ///< a file, a tensor, a text: anything that came from outside
  kNumeric = 4,       ///< NaN, a matrix that cannot be factorised
  kDevice = 5,        ///< GPU missing, out of memory, failed launch
  kInternal = 70,     ///< a bug of this program
  kInterrupted = 130  ///< Ctrl-C
};

/// The only exception type of the program. what() is one sentence for the user, in the form
/// "room: what was found; what was expected; what to do".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

/// Throws Error(kind) with an fmt-formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// fail() unless the condition holds: for invariants of this program (kInternal).
inline void ensure(bool condition, const char* message) {
  if (!condition) throw Error(ErrorKind::kInternal, message);
}

}  // namespace sgpt_mi

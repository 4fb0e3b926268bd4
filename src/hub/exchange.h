#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::hub {

/// Status and headers of an answer.
struct Answer {
  long status = 0;
  int redirects = 0;                           ///< that led to it
  std::map<std::string, std::string> headers;  ///< names in lower case; the last of each

  /// The value, or an empty text.
  [[nodiscard]] std::string header(const std::string& name) const;
  [[nodiscard]] bool good() const { return status == 200 || status == 206; }
};

/// One thing to fetch, and where its bytes go. run_exchanges() drives it.
class Exchange {
 public:
  enum class Ready : std::uint8_t { kYes, kNotYet, kDone };
  enum class End : std::uint8_t {
    kGood,
    kDropped,  ///< the line ended too early: again, after a pause
    kAgain     ///< at once again, from the beginning
  };

  explicit Exchange(std::string address) : url(std::move(address)) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const std::string url;
  bool head_only = false;  ///< HEAD: only redirects to another path of the same host are followed
  Answer answer;           ///< the last one; X-Linked-* and X-Repo-Commit also of redirects

  /// Asked before every try: whether it may start, must wait for somebody else, or is done.
  virtual Ready ready() { return Ready::kYes; }
  /// First byte that is wanted.
  [[nodiscard]] virtual std::int64_t offset() const { return 0; }
  /// A good answer begins.
  virtual void begin() {}
  virtual void receive(std::span<const std::byte> bytes) = 0;
  /// A good answer has ended.
  virtual End end() { return End::kGood; }
  /// A 4xx answer that no retry will change; may throw, else the caller looks at `answer`.
  virtual End refused() { return End::kGood; }
};

/// An exchange whose answer is kept as text.
class TextExchange : public Exchange {
 public:
  /// \param most  bytes; a longer answer is an Error(kInput).
  TextExchange(std::string address, std::size_t most) : Exchange(std::move(address)), most_(most) {}

  std::string text;

  void begin() override { text.clear(); }
  void receive(std::span<const std::byte> bytes) override;

 private:
  std::size_t most_;
};

/// How exchanges are carried out.
struct Conduct {
  std::string endpoint;  ///< the token goes to its scheme, host and port only
  std::string token;
  std::string certificates;
  long silence_seconds = 30;
  double first_delay_seconds = 1.0;
  int most_failures = 5;  ///< tries in a row that bring no new byte, before the last
  std::size_t at_once = 4;
  std::function<void(std::int64_t bytes)> tick;  ///< a few times a second: bytes since
  std::function<void(const std::string&)> warn;
};

/// Carries out all exchanges, several at a time.
///
/// Answers of 408, 429, 5xx and dropped lines are tried again, `most_failures` times in a row
/// without a new byte, after pauses that double or that Retry-After asks for. At most 10 redirects
/// and 64 KiB of headers. Throws Error(kInput) when a host cannot be reached or goes on failing,
/// Error(kInterrupted) after Ctrl-C, and what an exchange throws; the others are dropped then.
void run_exchanges(std::span<Exchange* const> exchanges, const Conduct& conduct);

}  // namespace sgpt_mi::hub

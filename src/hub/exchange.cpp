#include "exchange.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <string_view>

#include "address.h"
#include "names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/core/lower_case.h"

namespace sgpt_mi::hub {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr int kMostRedirects = 10;
constexpr std::size_t kMostHeaderBytes = std::size_t{64} << 10;
constexpr std::size_t kMostIgnoredBytes = std::size_t{1} << 20;  // of a page that says "error"
constexpr int kMostUnreached = 2;  // a host that was never reached will hardly appear
constexpr double kLongestPause = 300.0;
constexpr double kSilentPause = 5.0;  // longer ones are told to the user
constexpr long kConnectSeconds = 15;
constexpr int kPollMilliseconds = 100;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// One exchange on its way.
struct Journey {
  Exchange* exchange = nullptr;
  std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};
  std::unique_ptr<curl_slist, ListDeleter> header_list;
  std::string url;
  int redirects = 0;
  int failures = 0;
  int unreached = 0;
  Clock::time_point not_before = Clock::now();
  std::int64_t began_at = 0;  ///< offset of this try
  std::size_t header_bytes = 0;
  std::size_t ignored_bytes = 0;
  bool begun = false;
  std::int64_t* received = nullptr;  ///< of all journeys since the last tick
  std::exception_ptr problem;        ///< C code lies between a callback and run()
};

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

/// A redirect says what the file behind it is; the other headers of its answer are its own.
void start_headers(Answer& answer) {
  std::erase_if(answer.headers, [](const auto& header) {
    return !header.first.starts_with("x-linked-") && header.first != "x-repo-commit";
  });
}

std::size_t on_header(char* data, std::size_t /*size*/, std::size_t count, void* user) {
  auto& journey = *static_cast<Journey*>(user);
  journey.header_bytes += count;
  if (journey.header_bytes > kMostHeaderBytes) return 0;
  const std::string_view line(data, count);
  Answer& answer = journey.exchange->answer;
  if (line.starts_with("HTTP/")) {
    start_headers(answer);
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    answer.headers[lower_case(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  return count;
}

long status_of(const Journey& journey) {
  long status = 0;
  curl_easy_getinfo(journey.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/// Tells the exchange, once, that a good answer begins.
void begin_body(Journey& journey) {
  if (journey.begun) return;
  journey.begun = true;
  journey.exchange->begin();
}

std::size_t on_body(char* data, std::size_t /*size*/, std::size_t count, void* user) {
  auto& journey = *static_cast<Journey*>(user);
  journey.exchange->answer.status = status_of(journey);
  if (!journey.exchange->answer.good()) {
    journey.ignored_bytes += count;
    return journey.ignored_bytes > kMostIgnoredBytes ? 0 : count;
  }
  try {
    begin_body(journey);
    journey.exchange->receive(std::as_bytes(std::span(data, count)));
  } catch (...) {  // thrown on by Runner::finish()
    journey.problem = std::current_exception();
    return 0;
  }
  *journey.received += static_cast<std::int64_t>(count);
  return count;
}

bool is_unreached(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_COULDNT_CONNECT;
}

bool is_dropped(CURLcode code) {
  switch (code) {
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
      return true;
    default:
      return is_unreached(code);
  }
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

class Runner {
 public:
  Runner(std::span<Exchange* const> exchanges, const Conduct& conduct) : conduct_(conduct) {
    ensure(multi_ != nullptr, "hub: libcurl could not be started");
    for (Exchange* exchange : exchanges) {
      auto& journey = waiting_.emplace_back(std::make_unique<Journey>());
      ensure(journey->easy != nullptr, "hub: libcurl could not be started");
      journey->exchange = exchange;
      journey->received = &received_;
      journey->url = exchange->url;
    }
  }
  ~Runner() {
    for (const auto& journey : running_) curl_multi_remove_handle(multi_, journey->easy.get());
    running_.clear();
    curl_multi_cleanup(multi_);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void run() {
    while (!waiting_.empty() || !running_.empty()) {
      if (interrupted()) {
        fail(ErrorKind::kInterrupted,
             "interrupted; what was downloaded so far is kept and the next try goes on from there");
      }
      start_ready();
      int active = 0;
      curl_multi_perform(multi_, &active);
      collect();
      if (conduct_.tick) conduct_.tick(std::exchange(received_, 0));
      curl_multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
    }
    if (conduct_.tick) conduct_.tick(std::exchange(received_, 0));
  }

 private:
  using Journeys = std::vector<std::unique_ptr<Journey>>;

  /// Starts what may start, in order, until enough are under way.
  void start_ready() {
    for (std::size_t i = 0; i < waiting_.size() && running_.size() < conduct_.at_once;) {
      Exchange::Ready ready = Exchange::Ready::kNotYet;
      if (waiting_[i]->not_before <= Clock::now()) ready = waiting_[i]->exchange->ready();
      if (ready == Exchange::Ready::kNotYet) {
        ++i;
        continue;
      }
      std::unique_ptr<Journey> journey = std::move(waiting_[i]);
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      if (ready == Exchange::Ready::kYes) start(std::move(journey));
    }
  }

  void start(std::unique_ptr<Journey> journey) {
    CURL* easy = journey->easy.get();
    curl_easy_reset(easy);
    journey->header_bytes = 0;
    journey->ignored_bytes = 0;
    journey->begun = false;
    journey->began_at = journey->exchange->offset();
    journey->exchange->answer.status = 0;
    set_request(*journey);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, journey.get());
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, journey.get());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, journey.get());
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, conduct_.silence_seconds);
    if (!conduct_.certificates.empty()) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, conduct_.certificates.c_str());
    }
    ensure(curl_multi_add_handle(multi_, easy) == CURLM_OK, "hub: libcurl took no request");
    running_.push_back(std::move(journey));
  }

  /// Address, method, range, and the token where it belongs.
  void set_request(Journey& journey) const {
    CURL* easy = journey.easy.get();
    curl_easy_setopt(easy, CURLOPT_URL, journey.url.c_str());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sgpt-mi");
    if (is_loopback(journey.url)) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (journey.exchange->head_only) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (journey.began_at > 0) {
      curl_easy_setopt(easy, CURLOPT_RANGE, fmt::format("{}-", journey.began_at).c_str());
    }
    curl_slist* list = curl_slist_append(nullptr, "Accept-Encoding: identity");
    if (!conduct_.token.empty() && same_origin(journey.url, conduct_.endpoint)) {
      list = curl_slist_append(list, ("Authorization: Bearer " + conduct_.token).c_str());
    }
    journey.header_list.reset(list);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto found = std::find_if(running_.begin(), running_.end(), [&](const auto& journey) {
        return journey->easy.get() == message->easy_handle;
      });
      std::unique_ptr<Journey> journey = std::move(*found);
      running_.erase(found);
      curl_multi_remove_handle(multi_, journey->easy.get());
      finish(std::move(journey), code);
    }
  }

  /// What follows from the end of one request.
  void finish(std::unique_ptr<Journey> journey, CURLcode code) {
    if (journey->problem) std::rethrow_exception(journey->problem);
    if (journey->header_bytes > kMostHeaderBytes) {
      fail(ErrorKind::kInput, "hub: {} answers with more than {} bytes of headers; expected a Hub",
           without_query(journey->url), kMostHeaderBytes);
    }
    Exchange& exchange = *journey->exchange;
    exchange.answer.status = status_of(*journey);
    exchange.answer.redirects = journey->redirects;
    const long status = exchange.answer.status;
    const bool whole = code == CURLE_OK || journey->ignored_bytes > kMostIgnoredBytes;
    if (!whole) return after_failure(std::move(journey), code);
    if (is_redirect(status) && !exchange.answer.header("location").empty()) {
      return follow(std::move(journey));
    }
    if (status == 408 || status == 429 || status >= 500) return try_later(std::move(journey), code);
    if (exchange.answer.good()) begin_body(*journey);
    const Exchange::End end = exchange.answer.good() ? exchange.end() : exchange.refused();
    if (end == Exchange::End::kDropped) return try_later(std::move(journey), CURLE_PARTIAL_FILE);
    if (end == Exchange::End::kAgain) return restart(std::move(journey), 0.0);
  }

  void follow(std::unique_ptr<Journey> journey) {
    const std::string location = journey->exchange->answer.header("location");
    if (journey->exchange->head_only && names_host(location)) return;
    if (++journey->redirects > kMostRedirects) {
      fail(ErrorKind::kInput, "hub: {} leads through more than {} redirects; check HF_ENDPOINT",
           without_query(journey->exchange->url), kMostRedirects);
    }
    journey->url = redirect_target(journey->url, location, conduct_.endpoint);
    start(std::move(journey));
  }

  void after_failure(std::unique_ptr<Journey> journey, CURLcode code) {
    if (is_dropped(code)) return try_later(std::move(journey), code);
    fail(ErrorKind::kInput, "hub: {} cannot be fetched: {}; check HF_ENDPOINT, the proxy and {}",
         without_query(journey->url), curl_easy_strerror(code),
         code == CURLE_PEER_FAILED_VERIFICATION ? "SSL_CERT_FILE" : "the network");
  }

  void try_later(std::unique_ptr<Journey> journey, CURLcode code) {
    if (journey->exchange->offset() > journey->began_at) journey->failures = 0;
    const int failures = ++journey->failures;
    journey->unreached = is_unreached(code) ? journey->unreached + 1 : 0;
    const long status = journey->exchange->answer.status;
    const std::string why = code != CURLE_OK && !is_redirect(status) && status < 400
                                ? std::string(curl_easy_strerror(code))
                                : fmt::format("it answers {}", status);
    if (failures > conduct_.most_failures || journey->unreached >= kMostUnreached) {
      fail(ErrorKind::kInput,
           "hub: {} cannot be fetched: {} ({} tries); check the network, HF_ENDPOINT and the "
           "proxy, or try again later; with everything in the cache --offline opens no connection",
           without_query(journey->url), why, failures);
    }
    curl_off_t asked = 0;
    if (code == CURLE_OK) curl_easy_getinfo(journey->easy.get(), CURLINFO_RETRY_AFTER, &asked);
    const double own = conduct_.first_delay_seconds * static_cast<double>(1 << (failures - 1));
    const double pause = std::min(asked > 0 ? static_cast<double>(asked) : own, kLongestPause);
    if (pause > kSilentPause && conduct_.warn) {
      conduct_.warn(fmt::format("hub: {}: {}; next try in {:.0f} s", without_query(journey->url),
                                why, pause));
    }
    restart(std::move(journey), pause);
  }

  /// Another try, from the exchange's own address: what it led to may have expired.
  void restart(std::unique_ptr<Journey> journey, double pause) {
    journey->url = journey->exchange->url;
    journey->redirects = 0;
    journey->not_before =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(pause));
    waiting_.push_back(std::move(journey));
  }

  const Conduct& conduct_;
  CURLM* multi_ = curl_multi_init();
  Journeys waiting_;
  Journeys running_;
  std::int64_t received_ = 0;
};

}  // namespace

std::string Answer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

void TextExchange::receive(std::span<const std::byte> bytes) {
  if (text.size() + bytes.size() > most_) {
    fail(ErrorKind::kInput, "hub: {} answers with more than {} bytes; expected a list of files",
         without_query(url), most_);
  }
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void run_exchanges(std::span<Exchange* const> exchanges, const Conduct& conduct) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  ensure(started == CURLE_OK, "hub: libcurl could not be started");
  Runner(exchanges, conduct).run();
}

}  // namespace sgpt_mi::hub

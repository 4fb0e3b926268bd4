#include "address.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

#include "names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/lower_case.h"

namespace sgpt_mi::hub {
namespace {

using Parsed = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

/// Nothing when the text is no address, or holds a user name.
Parsed parse(const std::string& address) {
  Parsed parsed(curl_url(), curl_url_cleanup);
  if (parsed && curl_url_set(parsed.get(), CURLUPART_URL, address.c_str(), CURLU_DISALLOW_USER)) {
    parsed.reset();
  }
  return parsed;
}

std::string part_of(const Parsed& parsed, CURLUPart part) {
  char* text = nullptr;
  const unsigned flags = part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
  if (!parsed || curl_url_get(parsed.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string result = text;
  curl_free(text);
  return part == CURLUPART_HOST || part == CURLUPART_SCHEME ? lower_case(result) : result;
}

}  // namespace

std::string quote(std::string_view text, bool keep_slashes) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool ascii_alnum = byte < 0x80 && std::isalnum(byte) != 0;
    const bool plain = ascii_alnum || c == '-' || c == '_' || c == '.' || c == '~';
    result +=
        plain || (c == '/' && keep_slashes) ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return result;
}

bool is_plain_address(const std::string& address) {
  if (!address.starts_with("http://") && !address.starts_with("https://")) return false;
  const Parsed parsed = parse(address);
  return !part_of(parsed, CURLUPART_HOST).empty() && part_of(parsed, CURLUPART_QUERY).empty() &&
         part_of(parsed, CURLUPART_FRAGMENT).empty();
}

bool is_loopback(const std::string& address) {
  const std::string host = part_of(parse(address), CURLUPART_HOST);
  if (host == "localhost" || host == "[::1]") return true;
  const bool numbers = std::all_of(
      host.begin(), host.end(), [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
  return numbers && host.starts_with("127.");
}

bool same_origin(const std::string& left, const std::string& right) {
  const Parsed a = parse(left);
  const Parsed b = parse(right);
  if (!a || !b) return false;
  const auto equal = [&](CURLUPart part) { return part_of(a, part) == part_of(b, part); };
  return equal(CURLUPART_SCHEME) && equal(CURLUPART_HOST) && equal(CURLUPART_PORT);
}

bool names_host(const std::string& location) {
  const std::size_t colon = location.find("://");
  return location.starts_with("//") ||
         (colon != std::string::npos && location.find_first_of("/?#") > colon);
}

std::string redirect_target(const std::string& current, const std::string& location,
                            const std::string& endpoint) {
  const Parsed parsed = parse(current);
  ensure(parsed != nullptr, "hub: a request has no address");
  const bool fits =
      curl_url_set(parsed.get(), CURLUPART_URL, location.c_str(), CURLU_DISALLOW_USER) == CURLUE_OK;
  std::string target = fits ? part_of(parsed, CURLUPART_URL) : std::string();
  const std::string scheme = fits ? part_of(parsed, CURLUPART_SCHEME) : std::string();
  const bool plain = scheme == "http" && endpoint.starts_with("http://") &&
                     (is_loopback(target) || same_origin(target, endpoint));
  if (scheme != "https" && !plain) {
    fail(ErrorKind::kInput,
         "hub: {} leads to {}; expected an https address; check HF_ENDPOINT and the proxy",
         without_query(current), shown(without_query(location)));
  }
  return target;
}

}  // namespace sgpt_mi::hub

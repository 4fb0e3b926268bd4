#include "environment.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "address.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPublicHub = "https://huggingface.co";
constexpr long kSilenceSeconds = 30;

/// The first of these variables that is set and not empty.
template <typename... Names>
std::string variable(Names... names) {
  for (const char* name : {names...}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::array<std::string_view, 4> kYes{"1", "ON", "YES", "TRUE"};
  return std::find(kYes.begin(), kYes.end(), text) != kYes.end();
}

std::string home_folder() {
  if (std::string home = variable("HOME"); !home.empty()) return home;
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "/";
}

/// HF_HOME, or where it is by default.
fs::path hub_home() {
  if (const std::string home = variable("HF_HOME"); !home.empty()) return expand_path(home);
  const std::string caches = variable("XDG_CACHE_HOME");
  return fs::path(expand_path(caches.empty() ? "~/.cache" : caches)) / "huggingface";
}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string without_blanks(std::string text) {
  const auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(std::remove_if(text.begin(), text.end(), blank), text.end());
  return text;
}

std::string token_in_file() {
  const std::string named = variable("HF_TOKEN_PATH");
  const fs::path path = named.empty() ? hub_home() / "token" : fs::path(expand_path(named));
  std::ifstream stream(path, std::ios::binary);
  return stream ? std::string(std::istreambuf_iterator<char>(stream), {}) : std::string();
}

}  // namespace

std::string expand_path(const std::string& text) {
  std::string result;
  std::size_t at = 0;
  if (text == "~" || text.starts_with("~/")) {
    result = home_folder();
    at = 1;
  }
  while (at < text.size()) {
    const bool braces = text.compare(at, 2, "${") == 0;
    const std::size_t begin = at + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() && is_name_character(text[end])) ++end;
    const bool closed = !braces || (end < text.size() && text[end] == '}');
    const char* value = text[at] == '$' && end > begin && closed
                            ? std::getenv(text.substr(begin, end - begin).c_str())
                            : nullptr;
    if (value == nullptr) {
      result += text[at++];
    } else {
      result += value;
      at = end + (braces ? 1 : 0);
    }
  }
  return result;
}

fs::path cache_folder() {
  const std::string cache = variable("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE");
  return cache.empty() ? hub_home() / "hub" : fs::path(expand_path(cache));
}

std::string endpoint() {
  std::string address = variable("HF_ENDPOINT");
  if (address.empty()) return std::string(kPublicHub);
  while (address.ends_with('/')) address.pop_back();
  if (!is_plain_address(address)) {
    fail(ErrorKind::kUsage,
         "hub: HF_ENDPOINT is not an address of the form https://HOST[:PORT][/PATH]; correct it, "
         "or leave it out for {}",
         kPublicHub);
  }
  return address;
}

std::string token() {
  if (is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return {};
  std::string value = variable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN");
  value = without_blanks(value.empty() ? token_in_file() : value);
  const bool printable =
      std::all_of(value.begin(), value.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (!printable) {
    fail(ErrorKind::kUsage,
         "hub: the token of HF_TOKEN or of the token file has characters that no token has; set "
         "it again");
  }
  return value;
}

bool offline_by_environment() {
  return is_true(variable("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"));
}

long silence_seconds() {
  const auto seconds = whole_number<long>(variable("HF_HUB_DOWNLOAD_TIMEOUT"));
  return seconds && *seconds > 0 ? *seconds : kSilenceSeconds;
}

std::string certificate_file() {
  return variable("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE");
}

}  // namespace sgpt_mi::hub

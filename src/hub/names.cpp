#include "names.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>

#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::hub {
namespace {

constexpr std::size_t kLongestShown = 200;
constexpr std::size_t kLongestName = 128;

bool is_plain(unsigned char c) {
  return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.');
}

bool all_plain(std::string_view text) { return std::all_of(text.begin(), text.end(), is_plain); }

std::string with_dashes(std::string id) {
  if (const auto slash = id.find('/'); slash != std::string::npos) id.replace(slash, 1, "--");
  return id;
}

}  // namespace

std::string Repo::page() const { return kind == Kind::kModel ? id : "datasets/" + id; }

std::string Repo::folder() const {
  return (kind == Kind::kModel ? "models--" : "datasets--") + with_dashes(id);
}

bool is_id(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  const std::string_view second = slash == std::string_view::npos ? first : text.substr(slash + 1);
  const auto good = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.front() != '-' && part.back() != '.' &&
           part.size() <= kLongestName && all_plain(part);
  };
  return good(first) && good(second) && text.find("..") == std::string_view::npos;
}

bool is_path_below(std::string_view name) {
  constexpr std::size_t kLongestPath = 1024;
  if (name.empty() || name.size() > kLongestPath || first_invalid_utf8(name)) return false;
  const bool control = std::any_of(
      name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F || c == '\\'; });
  if (control) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

bool is_plain_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && text.front() != '.' && all_plain(text);
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string shown(std::string_view text) {
  const bool cut = text.size() > kLongestShown;
  return fmt::format("\"{}\"{}", printable(text.substr(0, kLongestShown)), cut ? "..." : "");
}

std::string without_query(std::string_view address) {
  return std::string(address.substr(0, address.find('?')));
}

}  // namespace sgpt_mi::hub

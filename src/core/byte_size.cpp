#include "sgpt_mi/core/byte_size.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};

constexpr std::array<Unit, 10> kUnits{{{"", 1.0},
                                       {"b", 1.0},
                                       {"kb", 1e3},
                                       {"mb", 1e6},
                                       {"gb", 1e9},
                                       {"tb", 1e12},
                                       {"kib", 1024.0},
                                       {"mib", 1048576.0},
                                       {"gib", 1073741824.0},
                                       {"tib", 1099511627776.0}}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_but_for_case(std::string_view text, std::string_view lower_name) {
  return std::equal(text.begin(), text.end(), lower_name.begin(), lower_name.end(),
                    [](char a, char b) { return lower(a) == b; });
}

[[noreturn]] void refuse(std::string_view text, const char* found) {
  fail(ErrorKind::kUsage,
       "core: the size '{}' {}; expected a number and a unit: B, kB, MB, GB, TB, KiB, MiB, GiB or "
       "TiB, for example 300MB",
       text, found);
}

}  // namespace

std::int64_t parse_bytes(std::string_view text) {
  const bool starts_with_number =
      !text.empty() && ((text.front() >= '0' && text.front() <= '9') || text.front() == '.');
  if (!starts_with_number) refuse(text, "does not start with a number");
  double number = 0.0;
  const char* end = text.data() + text.size();
  // Without an exponent, so that a slip such as 3e8MB is an unknown unit and not 3e14 bytes.
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error == std::errc::invalid_argument) refuse(text, "does not start with a number");
  if (error != std::errc()) refuse(text, "is too large");
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  const auto* row = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& candidate) {
    return equal_but_for_case(unit, candidate.name);
  });
  if (row == kUnits.end()) refuse(text, "has an unknown unit");
  const double bytes = std::round(number * row->bytes);
  if (bytes >= 0x1p63) refuse(text, "is too large");
  return static_cast<std::int64_t>(bytes);
}

std::string human_bytes(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kDecimalUnits{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < kDecimalUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", value, value < 99.95 ? 1 : 0, kDecimalUnits[unit]);
}

}  // namespace sgpt_mi

#include "sgpt_mi/pretokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/pretokenizer/regex.h"

namespace sgpt_mi::pretokenizer {
namespace {

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string normalize(std::string text) const override {
    return text.empty() ? text : prefix_ + text;
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::string normalize(std::string text) const override {
    std::string out;
    out.reserve(text.size());
    std::size_t copied = 0;
    for (const Span match : pattern_.matches(text)) {
      out.append(text, copied, match.begin - copied);
      out += content_;
      copied = match.end;
    }
    out.append(text, copied);
    return out;
  }

 private:
  Regex pattern_;
  std::string content_;
};

/// One of the four Unicode normalization forms.
class UnicodeForm : public Normalizer {
 public:
  /// `options` as for utf8proc_map.
  explicit UnicodeForm(int options) : options_(options) {}

  std::string normalize(std::string text) const override {
    const bool ascii =
        std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
    if (ascii) return text;
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                     static_cast<utf8proc_option_t>(options_ | UTF8PROC_STABLE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    if (size < 0) {
      fail(ErrorKind::kInput, "text: Unicode normalization failed: {}", utf8proc_errmsg(size));
    }
    return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
  }

 private:
  int options_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  std::string normalize(std::string text) const override {
    for (const auto& step : steps_) text = step->normalize(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

std::unique_ptr<Normalizer> parse_sequence(const nlohmann::json& json) {
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const nlohmann::json& step : member(json, "normalizers")) {
    steps.push_back(reading(fmt::format("normalizers[{}]", steps.size()),
                            [&] { return parse_normalizer(step); }));
  }
  return std::make_unique<Sequence>(std::move(steps));
}

}  // namespace

std::unique_ptr<Normalizer> parse_normalizer(const nlohmann::json& json) {
  if (json.is_null()) return std::make_unique<Sequence>(std::vector<std::unique_ptr<Normalizer>>());
  const std::string type = string_member(json, "type");
  if (type == "Sequence") return parse_sequence(json);
  if (type == "Prepend") return std::make_unique<Prepend>(string_member(json, "prepend"));
  if (type == "Replace") {
    return std::make_unique<Replace>(parse_pattern(member(json, "pattern")),
                                     string_member(json, "content"));
  }
  constexpr std::pair<std::string_view, int> kForms[] = {
      {"NFC", UTF8PROC_COMPOSE},
      {"NFD", UTF8PROC_DECOMPOSE},
      {"NFKC", UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
      {"NFKD", UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT}};
  for (const auto& [name, options] : kForms) {
    if (type == name) return std::make_unique<UnicodeForm>(options);
  }
  fail(ErrorKind::kInput,
       "text: normalizer '{}' is not supported; expected Prepend, Replace, NFC, NFD, NFKC, NFKD or "
       "Sequence",
       type);
}

}  // namespace sgpt_mi::pretokenizer

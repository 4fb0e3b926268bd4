#include "sgpt_mi/text/calibration.h"

#include <optional>
#include <string_view>
#include <utility>

#include "dataset_files.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "user_files.h"
#include "window_sampler.h"

namespace sgpt_mi::text {
namespace {

constexpr std::int64_t kMostSamples = 1'000'000;
constexpr std::int64_t kLongestWindow = 1'048'576;
constexpr std::int64_t kNoDocument = -1;

/// One part of a mix: a data set and how many windows come from it.
struct Part {
  std::string dataset;
  std::int64_t nsamples = 0;
};

/// "name:count", or nothing.
std::optional<Part> parse_part(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto count = whole_number<std::int64_t>(text.substr(colon + 1));
  if (!count) return std::nullopt;
  return Part{std::string(text.substr(0, colon)), *count};
}

/// The parts of "c4:64,ptb:64"; `dataset` itself with nsamples when it is not a mix, so that a path
/// may contain commas and colons.
std::vector<Part> parse_mix(const std::string& dataset, std::int64_t nsamples) {
  std::vector<Part> parts;
  std::string_view rest = dataset;
  while (true) {
    const std::size_t comma = rest.find(',');
    std::optional<Part> part = parse_part(rest.substr(0, comma));
    if (!part) return {{dataset, nsamples}};
    parts.push_back(std::move(*part));
    if (comma == std::string_view::npos) return parts;
    rest.remove_prefix(comma + 1);
  }
}

CalibrationSet draw_recorded(const std::string& path, const CalibrationOptions& options) {
  CalibrationSet set;
  set.windows = read_recorded_windows(path);
  if (set.windows.windows < options.nsamples) {
    fail(ErrorKind::kInput, "text: {} holds {} windows; expected at least --nsamples {}", path,
         set.windows.windows, options.nsamples);
  }
  set.windows = first_windows(set.windows, options.nsamples);
  return set;
}

CalibrationSet draw_part(const std::string& dataset, const DataSettings& settings,
                         const tokenizer::Tokenizer* tokenizer, const CalibrationOptions& options) {
  if (dataset.ends_with(".safetensors")) return draw_recorded(dataset, options);
  require_tokenizer(tokenizer, dataset);
  WindowSampler sampler(dataset, options);
  const auto from_rows = [&](const std::vector<std::string>& rows) {
    return sampler.from_tokens(tokenizer->encode(join(rows, " ")));
  };
  if (is_dataset_name(dataset)) {
    const std::vector<std::string> rows = load_rows(dataset, Split::kTrain, settings);
    return dataset == "c4" ? sampler.from_documents(rows, *tokenizer) : from_rows(rows);
  }
  const UserFile file = read_user_file(dataset, settings);
  return file.has_documents ? sampler.from_documents(file.texts, *tokenizer)
                            : from_rows(wikitext_rows(file.texts.front()));
}

/// Appends the windows of a part; windows without a document count as document -1 beside others.
void append(CalibrationSet part, CalibrationSet& whole) {
  if (whole.windows.windows > 0 && whole.windows.seqlen != part.windows.seqlen) {
    fail(ErrorKind::kInput, "text: the parts of '{}' have windows of {} and of {} tokens",
         whole.dataset, whole.windows.seqlen, part.windows.seqlen);
  }
  if (!part.documents.empty() || !whole.documents.empty()) {
    whole.documents.resize(static_cast<std::size_t>(whole.windows.windows), kNoDocument);
    part.documents.resize(static_cast<std::size_t>(part.windows.windows), kNoDocument);
  }
  const auto add = [](const auto& from, auto& to) {
    to.insert(to.end(), from.begin(), from.end());
  };
  add(part.windows.ids, whole.windows.ids);
  add(part.offsets, whole.offsets);
  add(part.documents, whole.documents);
  add(part.documents_tried, whole.documents_tried);
  add(part.warnings, whole.warnings);
  whole.windows.windows += part.windows.windows;
  whole.windows.seqlen = part.windows.seqlen;
}

}  // namespace

void CalibrationOptions::validate() const {
  if (nsamples < 1 || nsamples > kMostSamples) {
    fail(ErrorKind::kUsage, "text: nsamples is {}; expected 1 to {}", nsamples, kMostSamples);
  }
  if (seqlen < 2 || seqlen > kLongestWindow) {
    fail(ErrorKind::kUsage, "text: seqlen is {}; expected 2 to {}", seqlen, kLongestWindow);
  }
}

CalibrationSet draw_calibration(const std::string& dataset, const DataSettings& settings,
                                const tokenizer::Tokenizer* tokenizer,
                                const CalibrationOptions& options) {
  CalibrationSet whole;
  whole.dataset = dataset;
  for (const Part& part : parse_mix(dataset, options.nsamples)) {
    CalibrationOptions part_options = options;
    part_options.nsamples = part.nsamples;
    part_options.validate();
    append(draw_part(part.dataset, settings, tokenizer, part_options), whole);
  }
  return whole;
}

}  // namespace sgpt_mi::text

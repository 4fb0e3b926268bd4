#include "sgpt_mi/text/calibration.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "dataset_files.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/python_random.h"
#include "sgpt_mi/io/documents.h"

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
  const std::string_view digits = text.substr(colon + 1);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return Part{std::string(text.substr(0, colon)), count};
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

/// Draws the windows of one part with its own generator.
class Sampler {
 public:
  Sampler(const Tokenizer& tokenizer, const CalibrationOptions& options)
      : tokenizer_(tokenizer), options_(options), random_(options.seed) {
    set_.windows.seqlen = options.seqlen;
  }

  CalibrationSet from_text(const std::string& text) {
    const std::vector<std::int32_t> ids = tokenizer_.encode(text);
    if (!is_long_enough(ids)) {
      fail(ErrorKind::kInput,
           "text: the calibration text has {} tokens; expected more than --seqlen {}; use a longer "
           "text or shorter windows",
           ids.size(), options_.seqlen);
    }
    for (std::int64_t i = 0; i < options_.nsamples; ++i) add_window(ids);
    return std::move(set_);
  }

  CalibrationSet from_documents(const std::vector<std::string>& documents) {
    if (documents.empty()) fail(ErrorKind::kInput, "text: the calibration file has no documents");
    std::vector<bool> too_short(documents.size(), false);
    for (std::int64_t i = 0; i < options_.nsamples; ++i) add_document_window(documents, too_short);
    return std::move(set_);
  }

 private:
  [[nodiscard]] bool is_long_enough(const std::vector<std::int32_t>& ids) const {
    return static_cast<std::int64_t>(ids.size()) > options_.seqlen;
  }

  void add_window(const std::vector<std::int32_t>& ids) {
    const auto tokens = static_cast<std::int64_t>(ids.size());
    const std::int64_t offset = random_.randint(0, tokens - options_.seqlen - 1);
    const auto begin = ids.begin() + offset;
    set_.windows.ids.insert(set_.windows.ids.end(), begin, begin + options_.seqlen);
    ++set_.windows.windows;
    set_.offsets.push_back(offset);
  }

  /// `too_short` remembers the documents that were rejected, so that each is tokenized once for that
  /// and the search ends when none is left.
  void add_document_window(const std::vector<std::string>& documents,
                           std::vector<bool>& too_short) {
    const auto last = static_cast<std::int64_t>(documents.size()) - 1;
    while (true) {
      const std::int64_t drawn = random_.randint(0, last);
      set_.documents_tried.push_back(drawn);
      const auto index = static_cast<std::size_t>(drawn);
      if (too_short[index]) continue;
      const std::vector<std::int32_t> ids = tokenizer_.encode(documents[index]);
      if (is_long_enough(ids)) {
        add_window(ids);
        set_.documents.push_back(drawn);
        return;
      }
      too_short[index] = true;
      if (std::find(too_short.begin(), too_short.end(), false) == too_short.end()) {
        fail(ErrorKind::kInput,
             "text: none of the {} calibration documents has more than --seqlen {} tokens; use "
             "longer documents or shorter windows",
             documents.size(), options_.seqlen);
      }
    }
  }

  const Tokenizer& tokenizer_;
  const CalibrationOptions& options_;
  PythonRandom random_;
  CalibrationSet set_;
};

CalibrationSet draw_recorded(const std::string& path, const CalibrationOptions& options) {
  CalibrationSet set;
  set.windows = read_recorded_windows(path);
  if (set.windows.windows < options.nsamples) {
    fail(ErrorKind::kInput, "text: {} holds {} windows; expected at least --nsamples {}", path,
         set.windows.windows, options.nsamples);
  }
  set.windows.windows = options.nsamples;
  set.windows.ids.resize(static_cast<std::size_t>(options.nsamples * set.windows.seqlen));
  return set;
}

CalibrationSet draw_part(const std::string& dataset, const DataSettings& settings,
                         const Tokenizer* tokenizer, const CalibrationOptions& options) {
  if (dataset.ends_with(".safetensors")) return draw_recorded(dataset, options);
  if (tokenizer == nullptr) {
    fail(ErrorKind::kInput,
         "text: '{}' needs a tokenizer and the model has none; use windows recorded in a "
         ".safetensors file",
         dataset);
  }
  Sampler sampler(*tokenizer, options);
  if (dataset == "c4") return sampler.from_documents(load_rows(dataset, Split::kTrain, settings));
  if (is_dataset_name(dataset)) {
    return sampler.from_text(join(load_rows(dataset, Split::kTrain, settings), " "));
  }
  require_text_file(dataset);
  if (io::is_document_file(dataset)) return sampler.from_documents(io::read_documents(dataset));
  return sampler.from_text(join(wikitext_rows(io::read_text_file(dataset)), " "));
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
  const auto add = [](const auto& from, auto& to) { to.insert(to.end(), from.begin(), from.end()); };
  add(part.windows.ids, whole.windows.ids);
  add(part.offsets, whole.offsets);
  add(part.documents, whole.documents);
  add(part.documents_tried, whole.documents_tried);
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
                                const Tokenizer* tokenizer, const CalibrationOptions& options) {
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

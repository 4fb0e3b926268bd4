#include "window_sampler.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::text {
namespace {

/// The least number of documents that give more than half of the windows.
std::int64_t documents_of_most(const std::map<std::int64_t, std::int64_t>& windows_of) {
  std::vector<std::int64_t> counts;
  counts.reserve(windows_of.size());
  for (const auto& [document, windows] : windows_of) counts.push_back(windows);
  std::sort(counts.begin(), counts.end(), std::greater<>());
  const std::int64_t all = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  std::int64_t documents = 0;
  for (std::int64_t covered = 0; 2 * covered <= all; ++documents) {
    covered += counts[static_cast<std::size_t>(documents)];
  }
  return documents;
}

}  // namespace

WindowSampler::WindowSampler(std::string name, const CalibrationOptions& options)
    : name_(std::move(name)), nsamples_(options.nsamples), random_(options.seed) {
  set_.windows.seqlen = options.seqlen;
}

CalibrationSet WindowSampler::from_tokens(std::span<const std::int32_t> ids) {
  if (!is_long_enough(ids)) {
    fail(ErrorKind::kInput,
         "text: calibration text '{}' has {} tokens; expected more than --seqlen {}; use a longer "
         "text or shorter windows",
         name_, ids.size(), set_.windows.seqlen);
  }
  for (std::int64_t i = 0; i < nsamples_; ++i) add_window(ids);
  warn_of_overlap(static_cast<std::int64_t>(ids.size()));
  return std::move(set_);
}

CalibrationSet WindowSampler::from_documents(const std::vector<std::string>& documents,
                                             const tokenizer::Tokenizer& tokenizer) {
  const auto count = static_cast<std::int64_t>(documents.size());
  std::vector<bool> too_short(documents.size(), false);
  std::int64_t left = count;
  while (set_.windows.windows < nsamples_) {
    if (left == 0) {
      fail(ErrorKind::kInput,
           "text: none of the {} documents of '{}' has more than --seqlen {} tokens; use longer "
           "documents or shorter windows",
           count, name_, set_.windows.seqlen);
    }
    const std::int64_t drawn = random_.randint(0, count - 1);
    set_.documents_tried.push_back(drawn);
    const auto index = static_cast<std::size_t>(drawn);
    if (too_short[index]) continue;
    const std::vector<std::int32_t> ids = tokenizer.encode(documents[index]);
    if (is_long_enough(ids)) {
      set_.documents.push_back(drawn);
      add_window(ids);
    } else {
      too_short[index] = true;
      --left;
    }
  }
  warn_of_few(documents, too_short, tokenizer);
  return std::move(set_);
}

void WindowSampler::warn_of_overlap(std::int64_t tokens) {
  const std::int64_t wanted = nsamples_ * set_.windows.seqlen;
  if (tokens >= wanted) return;
  set_.warnings.push_back(fmt::format(
      "the {} windows of {} tokens from '{}' overlap: its text has {} tokens where they "
      "hold {}; use a longer text, or less --nsamples or --seqlen",
      nsamples_, set_.windows.seqlen, printable(name_), tokens, wanted));
}

void WindowSampler::warn_of_few(const std::vector<std::string>& documents,
                                const std::vector<bool>& too_short,
                                const tokenizer::Tokenizer& tokenizer) {
  std::map<std::int64_t, std::int64_t> windows_of;
  for (const std::int64_t document : set_.documents) ++windows_of[document];
  auto usable = static_cast<std::int64_t>(windows_of.size());
  // Some documents have two windows by chance alone; those not drawn decide whether there are few.
  for (std::size_t i = 0; i < documents.size() && usable < nsamples_; ++i) {
    if (too_short[i] || windows_of.contains(static_cast<std::int64_t>(i))) continue;
    if (is_long_enough(tokenizer.encode(documents[i]))) ++usable;
  }
  if (usable >= nsamples_) return;
  set_.warnings.push_back(fmt::format(
      "only {} of the {} documents of '{}' have more than {} tokens, fewer than the {} windows, "
      "most of which come from {} of them; use more or longer documents, or less --nsamples or "
      "--seqlen",
      usable, documents.size(), printable(name_), set_.windows.seqlen, nsamples_,
      documents_of_most(windows_of)));
}

bool WindowSampler::is_long_enough(std::span<const std::int32_t> ids) const {
  return static_cast<std::int64_t>(ids.size()) > set_.windows.seqlen;
}

void WindowSampler::add_window(std::span<const std::int32_t> ids) {
  const std::int64_t seqlen = set_.windows.seqlen;
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const std::int64_t offset = random_.randint(0, tokens - seqlen - 1);
  const auto window =
      ids.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(seqlen));
  set_.windows.ids.insert(set_.windows.ids.end(), window.begin(), window.end());
  ++set_.windows.windows;
  set_.offsets.push_back(offset);
}

}  // namespace sgpt_mi::text

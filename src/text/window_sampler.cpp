#include "window_sampler.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::text {

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
  return std::move(set_);
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

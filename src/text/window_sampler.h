#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/core/python_random.h"
#include "sgpt_mi/text/calibration.h"

namespace sgpt_mi::text {

/// Draws the windows of one data set with one generator, started from options.seed. One use each.
class WindowSampler {
 public:
  /// `name` of the data set appears in messages.
  WindowSampler(std::string name, const CalibrationOptions& options);

  /// Windows of one token list, each from randint(0, tokens - seqlen - 1).
  /// Throws Error(kInput) unless the list has more than seqlen tokens.
  [[nodiscard]] CalibrationSet from_tokens(std::span<const std::int32_t> ids);

  /// For each window draws documents until one has more than seqlen tokens, then a window in it.
  /// A document is tokenized when it is drawn. Throws Error(kInput) once every document has been
  /// found too short.
  [[nodiscard]] CalibrationSet from_documents(const std::vector<std::string>& documents,
                                              const tokenizer::Tokenizer& tokenizer);

 private:
  void add_window(std::span<const std::int32_t> ids);
  /// Warns when a text is shorter than all windows together.
  void warn_of_overlap(std::int64_t tokens);
  /// Warns when fewer documents than windows are long enough. Tokenizes more of them until as many
  /// are found; `too_short` are those that are known not to be.
  void warn_of_few(const std::vector<std::string>& documents, const std::vector<bool>& too_short,
                   const tokenizer::Tokenizer& tokenizer);
  [[nodiscard]] bool is_long_enough(std::span<const std::int32_t> ids) const;

  std::string name_;
  std::int64_t nsamples_;
  PythonRandom random_;
  CalibrationSet set_;
};

}  // namespace sgpt_mi::text

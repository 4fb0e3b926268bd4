#pragma once

#include <string>

#include "sgpt_mi/pretokenizer/pre_tokenizer.h"
#include "sgpt_mi/pretokenizer/regex.h"

namespace sgpt_mi::pretokenizer {

/// What becomes of the matches of a split pattern; names as in tokenizer.json.
enum class SplitBehavior {
  kIsolated,            ///< a match is a piece of its own
  kRemoved,             ///< a match is dropped
  kMergedWithPrevious,  ///< a match ends the piece before it
  kMergedWithNext,      ///< a match begins the piece after it
  kContiguous           ///< neighbouring matches form one piece
};

/// Throws Error(kInput) naming an unknown behaviour.
[[nodiscard]] SplitBehavior parse_split_behavior(const std::string& name);

/// Splits every piece at the matches of a pattern; with `invert`, at what lies between them.
class PatternSplit : public SplitStep {
 public:
  PatternSplit(Regex pattern, SplitBehavior behavior, bool invert = false)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void apply(Pieces& pieces) const override;

 private:
  Regex pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace sgpt_mi::pretokenizer

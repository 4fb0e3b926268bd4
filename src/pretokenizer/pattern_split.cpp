#include "pattern_split.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::pretokenizer {
namespace {

/// A stretch of a text: a match of the pattern, or what lies between two.
struct Stretch {
  Span span;
  bool is_match = false;
};

std::vector<Stretch> stretches_of(const Regex& pattern, std::string_view text, bool invert) {
  std::vector<Stretch> stretches;
  std::size_t covered = 0;
  for (const Span match : pattern.matches(text)) {
    if (covered < match.begin) stretches.push_back({{covered, match.begin}, invert});
    stretches.push_back({match, !invert});
    covered = match.end;
  }
  if (covered < text.size()) stretches.push_back({{covered, text.size()}, invert});
  return stretches;
}

/// Joins a stretch to the one before it where `joins(previous, current)` holds. An open piece is
/// judged by the last stretch that went into it.
template <typename Joins>
std::vector<Span> joined(const std::vector<Stretch>& stretches, Joins joins) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (i > 0 && joins(stretches[i - 1].is_match, stretches[i].is_match)) {
      spans.back().end = stretches[i].span.end;
    } else {
      spans.push_back(stretches[i].span);
    }
  }
  return spans;
}

std::vector<Span> apply_behavior(const std::vector<Stretch>& stretches, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kContiguous:
      return joined(stretches, [](bool before, bool match) { return before == match; });
    case SplitBehavior::kMergedWithPrevious:
      return joined(stretches, [](bool before, bool match) { return !before && match; });
    case SplitBehavior::kMergedWithNext:
      return joined(stretches, [](bool before, bool match) { return before && !match; });
    case SplitBehavior::kIsolated:
      return joined(stretches, [](bool, bool) { return false; });
    case SplitBehavior::kRemoved:
      break;
  }
  std::vector<Span> kept;
  for (const Stretch& stretch : stretches) {
    if (!stretch.is_match) kept.push_back(stretch.span);
  }
  return kept;
}

}  // namespace

SplitBehavior parse_split_behavior(const std::string& name) {
  constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Isolated", SplitBehavior::kIsolated},
      {"Removed", SplitBehavior::kRemoved},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  for (const auto& [known, behavior] : kNames) {
    if (name == known) return behavior;
  }
  fail(ErrorKind::kInput,
       "text: split behavior '{}'; expected Isolated, Removed, MergedWithPrevious, MergedWithNext "
       "or Contiguous",
       name);
}

void PatternSplit::apply(Pieces& pieces) const {
  std::vector<Piece> list;
  for (const Piece& piece : pieces.list()) {
    const std::vector<Stretch> stretches = stretches_of(pattern_, piece.text, invert_);
    for (const Span span : apply_behavior(stretches, behavior_)) {
      if (span.begin == span.end) continue;  // an empty match cuts, and is no piece
      const bool at_start = piece.at_text_start && span.begin == 0;
      list.push_back({piece.text.substr(span.begin, span.end - span.begin), at_start});
    }
  }
  pieces.replace(std::move(list));
}

}  // namespace sgpt_mi::pretokenizer

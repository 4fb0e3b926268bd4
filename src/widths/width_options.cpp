#include "sgpt_mi/widths/width_options.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::widths {
namespace {

constexpr Names<Grouping, 7> kGroupings{{{"channels", Grouping::kChannels},
                                         {"mi", Grouping::kMi},
                                         {"corr", Grouping::kCorr},
                                         {"hessian", Grouping::kHessian},
                                         {"contiguous", Grouping::kContiguous},
                                         {"random", Grouping::kRandom},
                                         {"kmeans", Grouping::kKmeans}}};

constexpr Names<BitAllocation, 3> kAllocations{{{"budget", BitAllocation::kBudget},
                                                {"quantile", BitAllocation::kQuantile},
                                                {"threshold", BitAllocation::kThreshold}}};

void require_bits(std::string_view field, const std::optional<double>& bits) {
  if (bits && !(*bits > 0.0 && *bits <= 16.0)) {
    fail(ErrorKind::kUsage, "{}: {:g} is no target; expected bits a weight in (0, 16]", field,
         *bits);
  }
}

}  // namespace

Grouping parse_grouping(const std::string& name) {
  return parse_name(kGroupings, "grouping", name);
}
std::string grouping_name(Grouping grouping) { return name_of(kGroupings, grouping); }

BitAllocation parse_bit_allocation(const std::string& name) {
  return parse_name(kAllocations, "bit_allocation", name);
}
std::string bit_allocation_name(BitAllocation allocation) {
  return name_of(kAllocations, allocation);
}

void GroupingOptions::validate() const {
  if (grouping == Grouping::kChannels) return;
  if (groups < 0) {
    fail(ErrorKind::kUsage, "n_groups: {} is no number of groups; expected 1 or more, or auto",
         groups);
  }
  const bool finds_groups = grouping == Grouping::kMi || grouping == Grouping::kCorr;
  if (groups == 0 && !finds_groups) {
    fail(ErrorKind::kUsage,
         "n_groups: auto needs clusters (--grouping mi or corr), and the grouping is {}; give a "
         "number",
         grouping_name(grouping));
  }
  if (sample_tokens < 8) {
    fail(ErrorKind::kUsage, "mi_tokens: {} tokens are too few; expected 8 or more", sample_tokens);
  }
}

void WidthTarget::validate() const {
  require_bits("target_avg_bits", average_bits);
  require_bits("attention_bits", attention_bits);
  require_bits("ffn_bits", ffn_bits);
  require_bits("target_stored_bits", stored_bits);
  if (bytes && *bytes <= 0) {
    fail(ErrorKind::kUsage, "target_bytes: {} bytes hold no model", *bytes);
  }
  const bool by_part = attention_bits.has_value() || ffn_bits.has_value();
  if ((stored_bits && bytes) || (by_part && (stored_bits || bytes))) {
    fail(ErrorKind::kUsage,
         "target_stored_bits, target_bytes and attention_bits/ffn_bits exclude each other; give "
         "one target");
  }
  if (by_part && over_model) {
    fail(ErrorKind::kUsage,
         "attention_bits and ffn_bits are targets of every linear; they exclude --budget_scope "
         "model");
  }
}

void WidthOptions::validate() const {
  grouping.validate();
  importance.validate();
  target.validate();
  if (allocation == BitAllocation::kThreshold) {
    thresholds.validate();
    if (target.stored_bits || target.bytes || target.over_model) {
      fail(ErrorKind::kUsage,
           "bit_allocation: threshold knows no budget, so that --target_stored_bits, "
           "--target_bytes and --budget_scope model cannot hold; use budget or quantile");
    }
  }
}

}  // namespace sgpt_mi::widths

#include "width_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <string_view>
#include <vector>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::cli {
namespace {

using compress::Method;

constexpr std::array<const char*, 18> kWidthFlags{
    "target_avg_bits", "attention_bits", "ffn_bits",           "target_stored_bits", "target_bytes",
    "budget_scope",    "bit_allocation", "bit_thresholds",     "toky_thresholds",    "levels",
    "share",           "grouping",       "importance_weights", "use_mi_grouping",    "n_groups",
    "mi_method",       "mi_tokens",      "clustering"};

/// What only a measured plan reads.
constexpr std::array<const char*, 6> kPlanFlags{"sensitivity",  "sparsity_range", "width_plan",
                                                "plan_windows", "plan_check",     "measurements"};

/// Of the width flags, what only methods that score channels read.
constexpr std::array<const char*, 7> kScoreFlags{
    "budget_scope", "bit_allocation",     "bit_thresholds", "toky_thresholds",
    "share",        "importance_weights", "use_mi_grouping"};

template <typename T>
std::vector<T> parse_list(const std::string& key, const std::string& text) {
  std::vector<T> values;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    T value{};
    const auto parsed = std::from_chars(at, end, value);
    if (parsed.ec != std::errc() || (parsed.ptr != end && *parsed.ptr != ',')) {
      fail(ErrorKind::kUsage, "{}: '{}' is not a list of numbers with commas between them", key,
           text);
    }
    values.push_back(value);
    if (parsed.ptr == end) return values;
    at = parsed.ptr + 1;
  }
}

template <std::size_t Count>
std::array<double, Count> parse_numbers(const std::string& key, const std::string& text) {
  const std::vector<double> values = parse_list<double>(key, text);
  if (values.size() != Count) {
    fail(ErrorKind::kUsage, "{}: '{}' has {} numbers; {} are needed", key, text, values.size(),
         Count);
  }
  std::array<double, Count> result{};
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

/// Widths to choose from. A method need not look at all of them before it relies on their order.
std::vector<int> parse_levels(const std::string& text) {
  std::vector<int> levels = parse_list<int>("levels", text);
  const bool ascending =
      std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end();
  if (!ascending || levels.front() < 2 || levels.back() > 8) {
    fail(ErrorKind::kUsage, "levels: '{}' are not different widths from 2 to 8, ascending", text);
  }
  return levels;
}

std::int64_t parse_groups(const std::string& text) {
  if (text == "auto") return 0;
  const auto groups = whole_number<std::int64_t>(text);
  if (!groups || *groups < 1) {
    fail(ErrorKind::kUsage, "n_groups: '{}' is neither a number of groups nor auto", text);
  }
  return *groups;
}

quant::GridSharing parse_sharing(const std::string& text) {
  if (text == "scale") return quant::GridSharing::kRowGroup;
  if (text == "bits") return quant::GridSharing::kColumn;
  if (text == "group") return quant::GridSharing::kGroup;
  fail(ErrorKind::kUsage, "share: '{}' is unknown; there are scale, bits, group", text);
}

bool parse_scope(const std::string& text) {
  if (text == "layer") return false;
  if (text == "model") return true;
  fail(ErrorKind::kUsage, "budget_scope: '{}' is unknown; there are layer, model", text);
}

std::optional<double> positive(double value) {
  return value == 0.0 ? std::nullopt : std::optional(value);
}

widths::WidthTarget parse_target(const flags::Settings& typed) {
  widths::WidthTarget target;
  if (typed.target_avg_bits != 0.0) {
    target.average_bits = typed.target_avg_bits;
  } else if (typed.wbits < 16) {
    target.average_bits = typed.wbits;
  }
  target.attention_bits = positive(typed.attention_bits);
  target.ffn_bits = positive(typed.ffn_bits);
  target.stored_bits = positive(typed.target_stored_bits);
  if (!typed.target_bytes.empty()) target.bytes = parse_bytes(typed.target_bytes);
  target.over_model = parse_scope(typed.budget_scope);
  return target;
}

void set_clustering(widths::GroupingOptions& grouping, const flags::Settings& typed) {
  grouping.estimator = mi::parse_estimator(typed.mi_method);
  grouping.clustering = cluster::parse_method(typed.clustering);
  grouping.sample_tokens = typed.mi_tokens;
  grouping.seed = typed.seed;
}

widths::GroupingOptions parse_grouping_options(const flags::Settings& typed, Method method) {
  widths::GroupingOptions grouping;
  if (typed.use_mi_grouping != 0 && typed.use_mi_grouping != 1) {
    fail(ErrorKind::kUsage, "use_mi_grouping: {} is neither 0 nor 1", typed.use_mi_grouping);
  }
  const bool grouped = method == Method::kMi && typed.use_mi_grouping == 1;
  grouping.grouping =
      grouped ? widths::parse_grouping(typed.grouping) : widths::Grouping::kChannels;
  grouping.groups = parse_groups(typed.n_groups);
  set_clustering(grouping, typed);
  return grouping;
}

void refuse_width_flags(const flags::ResolvedSettings& settings, Method method) {
  for (const char* key : kWidthFlags) {
    if (!asked(settings, key)) continue;
    fail(ErrorKind::kUsage,
         "--{} has no effect with --method {}; use --method rd or mi, or leave it out", key,
         compress::method_name(method));
  }
}

}  // namespace

bool asked(const flags::ResolvedSettings& settings, const std::string& key) {
  if (!settings.given(key)) return false;
  for (const flags::FlagRow& row : flags::flag_table()) {
    if (key != row.key) continue;
    const nlohmann::ordered_json value = flags::flag_value(settings.values, row);
    const bool switches = row.value == std::string_view("0|1");
    if (switches && value == -1) return false;  // as the method has it
    return settings.origins.at(key) == flags::Origin::kFlag ||
           value != flags::flag_value(flags::Settings{}, row);
  }
  fail(ErrorKind::kInternal, "cli: no flag {}", key);
}

bool asks_for_codes(const flags::Settings& typed) {
  return typed.wbits < 16 || typed.target_avg_bits != 0.0 || typed.attention_bits != 0.0 ||
         typed.ffn_bits != 0.0 || typed.target_stored_bits != 0.0 || !typed.target_bytes.empty();
}

void drop_flags_of_others(flags::ResolvedSettings& settings, Method method) {
  const auto drop = [&](const auto& keys) {
    for (const char* key : keys) settings.origins.erase(key);
  };
  if (method == Method::kRd) {
    drop(kScoreFlags);
    return;
  }
  drop(kPlanFlags);
  if (!compress::has_widths(method)) drop(kWidthFlags);
}

widths::WidthOptions plan_width_options(const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  for (const char* key : kScoreFlags) {
    if (!asked(settings, key)) continue;
    fail(ErrorKind::kUsage,
         "--{} has no effect with --method rd, which measures; use --method mi, or leave it out",
         key);
  }
  widths::WidthOptions widths;
  widths.grouping.grouping = asked(settings, "grouping") ? widths::parse_grouping(typed.grouping)
                                                         : widths::Grouping::kHessian;
  widths.grouping.groups = asked(settings, "n_groups") ? parse_groups(typed.n_groups) : 1;
  set_clustering(widths.grouping, typed);
  widths.levels = parse_levels(typed.levels);
  widths.target = parse_target(typed);
  // Targets by part are budgets of their own, over all linears of the part.
  widths.target.over_model = !widths.target.attention_bits && !widths.target.ffn_bits;
  return widths;
}

std::optional<widths::WidthOptions> width_options(const flags::ResolvedSettings& settings,
                                                  Method method) {
  const flags::Settings& typed = settings.values;
  if (method == Method::kRd) return std::nullopt;
  for (const char* key : kPlanFlags) {
    if (!asked(settings, key)) continue;
    fail(ErrorKind::kUsage, "--{} has no effect with --method {}; use --method rd, or leave it out",
         key, compress::method_name(method));
  }
  if (!compress::has_widths(method)) {
    refuse_width_flags(settings, method);
    return std::nullopt;
  }
  widths::WidthOptions widths;
  widths.grouping = parse_grouping_options(typed, method);
  widths.levels = parse_levels(typed.levels);
  const auto shares = parse_numbers<5>("importance_weights", typed.importance_weights);
  widths.importance = {shares[0], shares[1], shares[2], shares[3], shares[4]};
  widths.sharing = parse_sharing(typed.share);
  widths.target = parse_target(typed);
  if (method == Method::kToky) {
    const auto bounds = parse_numbers<2>("toky_thresholds", typed.toky_thresholds);
    widths.score = widths::ChannelScore::kContribution;
    widths.allocation = widths::BitAllocation::kThreshold;
    widths.thresholds = alloc::contribution_thresholds(bounds[0], bounds[1]);
    widths.levels = {2, 4, 8};
    return widths;
  }
  widths.allocation = widths::parse_bit_allocation(typed.bit_allocation);
  if (widths.allocation == widths::BitAllocation::kThreshold) {
    widths.thresholds = alloc::importance_thresholds(
        parse_list<double>("bit_thresholds", typed.bit_thresholds), widths.levels);
  }
  return widths;
}

}  // namespace sgpt_mi::cli

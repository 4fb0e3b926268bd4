#include "width_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <string_view>
#include <vector>

#include "sgpt_mi/cli/flag_table.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

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

planning::WidthTarget parse_target(const Settings& typed) {
  planning::WidthTarget target;
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

void set_clustering(planning::GroupingOptions& grouping, const Settings& typed) {
  grouping.estimator = mi::parse_estimator(typed.mi_method);
  grouping.clustering = cluster::parse_method(typed.clustering);
  grouping.sample_tokens = typed.mi_tokens;
  grouping.seed = typed.seed;
}

planning::GroupingOptions parse_grouping_options(const Settings& typed, Method method) {
  planning::GroupingOptions grouping;
  if (typed.use_mi_grouping != 0 && typed.use_mi_grouping != 1) {
    fail(ErrorKind::kUsage, "use_mi_grouping: {} is neither 0 nor 1", typed.use_mi_grouping);
  }
  const bool grouped = method == Method::kMi && typed.use_mi_grouping == 1;
  grouping.grouping =
      grouped ? planning::parse_grouping(typed.grouping) : planning::Grouping::kChannels;
  grouping.groups = parse_groups(typed.n_groups);
  set_clustering(grouping, typed);
  return grouping;
}

void refuse_width_flags(const ResolvedSettings& settings, Method method) {
  for (const char* key : kWidthFlags) {
    if (!asked(settings, key)) continue;
    fail(ErrorKind::kUsage,
         "--{} has no effect with --method {}; use --method rd or mi, or leave it out", key,
         compress::method_name(method));
  }
}

}  // namespace

bool asked(const ResolvedSettings& settings, const std::string& key) {
  if (!settings.given(key)) return false;
  for (const FlagRow& row : flag_table()) {
    if (key != row.key) continue;
    return settings.origins.at(key) == Origin::kFlag ||
           flag_value(settings.values, row) != flag_value(Settings{}, row);
  }
  fail(ErrorKind::kInternal, "cli: no flag {}", key);
}

bool asks_for_codes(const Settings& typed) {
  return typed.wbits < 16 || typed.target_avg_bits != 0.0 || typed.attention_bits != 0.0 ||
         typed.ffn_bits != 0.0 || typed.target_stored_bits != 0.0 || !typed.target_bytes.empty();
}

namespace {

const blocks::BlockType* parse_type(const char* key, const std::string& name) {
  const blocks::BlockType* type = blocks::find_block_type(std::string_view(name));
  if (type != nullptr && type->form != blocks::BlockForm::kPlain) return type;
  std::string known;
  for (const blocks::BlockType& other : blocks::block_types()) {
    if (other.form == blocks::BlockForm::kPlain) continue;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", other.name);
  }
  fail(ErrorKind::kUsage, "{}: '{}' is no type with blocks; there are {}", key, name, known);
}

/// "attn_v=Q6_K,ffn_down=Q5_K"
std::vector<std::pair<std::string, const blocks::BlockType*>> parse_types(const std::string& text) {
  std::vector<std::pair<std::string, const blocks::BlockType*>> types;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string entry = text.substr(at, end - at);
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail(ErrorKind::kUsage, "gguf_types: '{}' is not NAME=TYPE, as in attn_v=Q6_K", entry);
    }
    types.emplace_back(entry.substr(0, equals), parse_type("gguf_types", entry.substr(equals + 1)));
    at = end + 1;
  }
  return types;
}

/// The type that comes next to a width: one of 256 weights that holds a zero where that is needed.
const blocks::BlockType* type_of_width(int bits, bool needs_zero) {
  for (const blocks::BlockType& type : blocks::block_types()) {
    const bool usual = type.form != blocks::BlockForm::kTable &&
                       (type.block_elements == 256 || needs_zero || bits == 8);
    if (usual && type.code_bits == bits && (!needs_zero || type.holds_zero())) return &type;
  }
  fail(ErrorKind::kUsage,
       "wbits: no block type has codes of {} bits{}; give --gguf_type, or 3, 4, 5, 6 or 8", bits,
       needs_zero ? " and an exact zero" : "");
}

}  // namespace

std::optional<planning::TypeOptions> type_options(
    const Settings& typed, const formats::Format& format,
    const compress::CompressionSettings& compression) {
  const bool names_types = !typed.gguf_type.empty() || !typed.gguf_types.empty();
  if (!format.holds_blocks) {
    if (!names_types) return std::nullopt;
    fail(ErrorKind::kUsage,
         "gguf_type: format {} holds no blocks of ggml's types; use --format gguf", format.name);
  }
  if (!names_types && !asks_for_codes(typed)) return std::nullopt;
  if (compress::has_widths(compression.method)) {
    fail(ErrorKind::kUsage,
         "method {} gives the columns of a matrix several widths, and format {} holds one type a "
         "tensor; use --method rd, sparsegpt or magnitude",
         compress::method_name(compression.method), format.name);
  }
  planning::TypeOptions types;
  types.needs_zero = compression.matrix.prunes();
  types.by_name = parse_types(typed.gguf_types);
  const bool sized = typed.target_stored_bits != 0.0 || !typed.target_bytes.empty();
  if (!typed.gguf_type.empty()) {
    types.standard = parse_type("gguf_type", typed.gguf_type);
  } else if (typed.wbits < 16) {
    types.standard = type_of_width(typed.wbits, types.needs_zero);
  }
  if (sized && types.standard != nullptr) {
    fail(ErrorKind::kUsage,
         "gguf_type: {} for all linears contradicts a size that types are planned for; give one",
         types.standard->name);
  }
  if (!sized && types.standard == nullptr) {
    fail(ErrorKind::kUsage,
         "format {}: say what to plan for or what to take: --target_bytes 700MB, "
         "--target_stored_bits 4.5, --gguf_type Q4_K or --wbits 4",
         format.name);
  }
  types.validate();
  return types;
}

void drop_flags_of_others(ResolvedSettings& settings, Method method) {
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

planning::WidthOptions plan_width_options(const ResolvedSettings& settings) {
  const Settings& typed = settings.values;
  for (const char* key : kScoreFlags) {
    if (!asked(settings, key)) continue;
    fail(ErrorKind::kUsage,
         "--{} has no effect with --method rd, which measures; use --method mi, or leave it out",
         key);
  }
  planning::WidthOptions widths;
  widths.grouping.grouping = asked(settings, "grouping") ? planning::parse_grouping(typed.grouping)
                                                         : planning::Grouping::kHessian;
  widths.grouping.groups = asked(settings, "n_groups") ? parse_groups(typed.n_groups) : 1;
  set_clustering(widths.grouping, typed);
  widths.levels = parse_levels(typed.levels);
  widths.target = parse_target(typed);
  // Targets by part are budgets of their own, over all linears of the part.
  widths.target.over_model = !widths.target.attention_bits && !widths.target.ffn_bits;
  return widths;
}

std::optional<planning::WidthOptions> width_options(const ResolvedSettings& settings,
                                                    Method method) {
  const Settings& typed = settings.values;
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
  planning::WidthOptions widths;
  widths.grouping = parse_grouping_options(typed, method);
  widths.levels = parse_levels(typed.levels);
  const auto shares = parse_numbers<5>("importance_weights", typed.importance_weights);
  widths.importance = {shares[0], shares[1], shares[2], shares[3], shares[4]};
  widths.sharing = parse_sharing(typed.share);
  widths.target = parse_target(typed);
  if (method == Method::kToky) {
    const auto bounds = parse_numbers<2>("toky_thresholds", typed.toky_thresholds);
    widths.score = planning::ChannelScore::kContribution;
    widths.allocation = planning::BitAllocation::kThreshold;
    widths.thresholds = alloc::contribution_thresholds(bounds[0], bounds[1]);
    widths.levels = {2, 4, 8};
    return widths;
  }
  widths.allocation = planning::parse_bit_allocation(typed.bit_allocation);
  if (widths.allocation == planning::BitAllocation::kThreshold) {
    widths.thresholds = alloc::importance_thresholds(
        parse_list<double>("bit_thresholds", typed.bit_thresholds), widths.levels);
  }
  return widths;
}

}  // namespace sgpt_mi::cli

#include "sgpt_mi/cli/settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "refine_settings.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/flags/flag_table.h"
#include "type_settings.h"
#include "width_settings.h"

namespace sgpt_mi::cli {
namespace {

/// Flags that change where and how a result is shown, or, threads, its last digits.
constexpr std::array<std::string_view, 9> kNotOfResult{
    "offline", "quiet", "verbose", "threads", "mpi_weights", "save", "report", "record", "trace"};

std::vector<std::string> split_names(const std::string& key, const std::string& text) {
  std::vector<std::string> sets;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    if (comma == begin) fail(ErrorKind::kUsage, "{}: '{}' has an empty name in it", key, text);
    sets.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return sets;
}

std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& word : split_names("seeds", text)) {
    const auto seed = whole_number<std::uint64_t>(word);
    if (!seed) fail(ErrorKind::kUsage, "seeds: '{}' is not a number of 0 or more", word);
    seeds.push_back(*seed);
  }
  return seeds;
}

/// "2:4" -> {2, 4}.
std::pair<std::int64_t, std::int64_t> parse_pattern(const std::string& text) {
  std::int64_t kept = 0;
  std::int64_t of = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, kept);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == ':') {
    const auto second = std::from_chars(first.ptr + 1, end, of);
    if (second.ec == std::errc() && second.ptr == end && kept > 0 && kept < of) return {kept, of};
  }
  fail(ErrorKind::kUsage, "pattern: '{}' is not N:M with 0 < N < M (N of every M are kept)", text);
}

/// Zeros of every M from --pattern or --prunen/--prunem, which must not both be given.
void set_pattern(obs::CompressOptions& options, const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  if (!typed.pattern.empty()) {
    if (typed.prunen != 0 || typed.prunem != 0) {
      fail(ErrorKind::kUsage, "--pattern and --prunen/--prunem both name an N:M pattern; give one");
    }
    const auto [kept, of] = parse_pattern(typed.pattern);
    options.prune_n = of - kept;
    options.prune_m = of;
    options.pattern_typed = "--pattern " + typed.pattern;
  } else if (typed.prunen != 0 || typed.prunem != 0) {
    if (typed.prunen <= 0 || typed.prunen >= typed.prunem) {
      fail(ErrorKind::kUsage, "prunen: {} zeros of every prunem: {} is not 0 < N < M", typed.prunen,
           typed.prunem);
    }
    options.prune_n = typed.prunen;
    options.prune_m = typed.prunem;
    options.pattern_typed = fmt::format("--prunen {} --prunem {}", typed.prunen, typed.prunem);
  }
  if (options.prune_n == 0) return;
  const double share = static_cast<double>(options.prune_n) / static_cast<double>(options.prune_m);
  if (settings.given("sparsity") && typed.sparsity != 0.0 &&
      std::abs(typed.sparsity - share) > 1e-9) {
    fail(ErrorKind::kUsage, "sparsity: {:g} contradicts {}, a share of {:g}", typed.sparsity,
         options.pattern_text(), share);
  }
}

obs::CompressOptions matrix_options(const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  obs::CompressOptions options;
  set_pattern(options, settings);
  options.sparsity = options.prune_n > 0 ? 0.0 : typed.sparsity;
  options.wbits = typed.wbits;
  options.symmetric = typed.sym;
  options.mse = typed.mse;
  options.groupsize = typed.groupsize;
  options.static_groups = typed.static_groups;
  options.act_order = typed.act_order;
  options.percdamp = typed.percdamp;
  options.blocksize = typed.blocksize;
  if (typed.static_groups && typed.groupsize <= 0) {
    fail(ErrorKind::kUsage, "--static_groups needs --groupsize N");
  }
  options.validate();  // before methods with widths of their own put other widths in
  return options;
}

pipeline::ModelOptions model_options(const flags::Settings& typed) {
  pipeline::ModelOptions options{model_of(typed), typed.device, typed.dtype, typed.threads};
  constexpr Names<bool, 2> kWeights{{{"read", false}, {"broadcast", true}}};
  options.broadcast_weights = parse_name(kWeights, "mpi_weights", typed.mpi_weights);
  return options;
}

pipeline::EvalOptions eval_options(const flags::Settings& typed) {
  return {eval_sets(typed.eval), typed.data_dir, typed.seqlen, typed.eval_windows, typed.text_key};
}

/// A number of windows; 0 for "auto".
std::int64_t parse_batch_windows(const std::string& text) {
  if (text == "auto") return 0;
  const auto windows = whole_number<std::int64_t>(text);
  if (!windows || *windows < 1) {
    fail(ErrorKind::kUsage, "batch_windows: '{}' is neither a number of 1 or more nor auto", text);
  }
  return *windows;
}

/// A plan that chooses codes starts from the widest level that the target holds.
void set_base_width(compress::CompressionSettings& compression) {
  const widths::WidthOptions& widths = compression.plan->widths;
  int width = widths.levels.empty() ? compression.matrix.wbits : widths.levels.front();
  for (const int level : widths.levels) {
    if (static_cast<double>(level) <= widths.target.average_bits) width = level;
  }
  compression.matrix.wbits = width;
}

const formats::Format& save_format(const flags::Settings& typed, bool quantizes) {
  return typed.format == "auto" ? formats::format_for(typed.save, quantizes)
                                : formats::find_format(typed.format);
}

pipeline::FormatWishes format_wishes(const flags::ResolvedSettings& settings) {
  const auto typed = settings.origins.find("sym");
  pipeline::FormatWishes wishes;
  // A file names every flag; only who types --sym=false means it.
  wishes.asymmetric = !settings.values.sym && typed != settings.origins.end() &&
                      typed->second == flags::Origin::kFlag;
  wishes.levels = asked(settings, "levels");
  for (const char* key : {"target_avg_bits", "attention_bits", "ffn_bits", "target_stored_bits",
                          "target_bytes", "width_plan"}) {
    wishes.tensor_widths |= asked(settings, key);
  }
  return wishes;
}

/// What only codes of a fixed width have.
constexpr std::array<const char*, 14> kFixedFlags{
    "n_groups",      "grouping",       "groupsize",  "static_groups", "sym", "attention_bits",
    "ffn_bits",      "levels",         "width_plan", "clustering",    "mse", "mi_method",
    "weighted_clip", "grid_after_mask"};

/// Whether levels for an entropy coder take the place of codes; where a flag keeps them from it,
/// the run remembers which.
bool takes_levels(const flags::ResolvedSettings& settings, pipeline::CompressRun& run) {
  const std::string& coding = settings.values.coding;
  if (coding != "auto" && coding != "fixed" && coding != "entropy") {
    fail(ErrorKind::kUsage, "coding: '{}' is unknown; there are auto, fixed, entropy", coding);
  }
  const bool typed = coding == "entropy";
  if (typed && !asks_for_codes(settings.values)) {
    fail(ErrorKind::kUsage,
         "coding: entropy needs codes; give --wbits, --target_stored_bits or --target_bytes");
  }
  if (coding == "fixed" || !asks_for_codes(settings.values)) return false;
  if (!run.format.holds_codes || !run.format.grids.levels) {
    if (!typed) return false;
    fail(ErrorKind::kUsage, "coding: entropy-coded levels are held by --format packed alone");
  }
  if (run.compression.method != compress::Method::kRd) return typed;
  for (const char* key : kFixedFlags) {
    if (!asked(settings, key)) continue;
    if (!typed) {
      run.fixed_by = key;
      return false;
    }
    fail(ErrorKind::kUsage,
         "--{} is about grids of a fixed width, and --coding entropy has a step for every row and "
         "column; leave one of them out",
         key);
  }
  return true;
}

}  // namespace

std::vector<std::string> eval_sets(const std::string& text) {
  std::error_code not_there;
  if (std::filesystem::is_regular_file(text, not_there)) return {text};  // a name with commas
  return text == "none" ? std::vector<std::string>() : split_names("eval", text);
}

std::string model_of(const flags::Settings& typed) {
  return typed.revision.empty() ? typed.model : typed.model + "@" + typed.revision;
}

namespace {

pipeline::Unfinished wish_of(const flags::Settings& typed) {
  return typed.resume ? pipeline::Unfinished::kGoOn : pipeline::Unfinished::kRefuse;
}

/// Beside what a comparison writes. One that only prints has a name of its own in the working
/// folder, or nothing where that cannot be written.
std::string journal_of_comparison(const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  if (!typed.plots.empty()) return typed.plots;
  if (!typed.report.empty()) return typed.report;
  if (access(".", W_OK) != 0) return "";
  const nlohmann::json asked{result_settings(settings), typed.methods, typed.groupings,
                             typed.seeds};
  return "sgpt-mi-compare-" + sha256_hex(asked.dump()).substr(0, 8);
}

}  // namespace

nlohmann::json result_settings(const flags::ResolvedSettings& settings) {
  nlohmann::json result{{"model", model_of(settings.values)}, {"dataset", settings.values.dataset}};
  for (const flags::FlagRow* row : flags::flags_of(flags::kCompress)) {
    const bool shown_only = std::find(kNotOfResult.begin(), kNotOfResult.end(),
                                      std::string_view(row->key)) != kNotOfResult.end();
    if (!row->in_config || shown_only) continue;
    result[row->key] = flags::flag_value(settings.values, *row);
  }
  return result;
}

pipeline::CompressRun to_compress_run(const flags::ResolvedSettings& settings) {
  const flags::Settings& typed = settings.values;
  pipeline::CompressRun run;
  run.model = model_options(typed);
  run.calibration = {typed.dataset, typed.nsamples, typed.seed};
  run.compression.method = compress::parse_method(typed.method);
  run.compression.matrix = matrix_options(settings);
  run.compression.widths = width_options(settings, run.compression.method);
  if (run.compression.widths) run.compression.matrix.wbits = 16;
  if (typed.channel_scaling != -1.0) run.compression.channel_scaling = typed.channel_scaling;
  run.compression.plan = plan_options(settings, run.compression.method);
  run.format = save_format(
      typed, run.compression.quantizes() || (run.compression.plan && asks_for_codes(typed)));
  pipeline::take_format(run, format_wishes(settings));
  if (run.compression.plan && asks_for_codes(typed)) set_base_width(run.compression);
  run.compression.entropy = takes_levels(settings, run);
  run.compression.keep_embeddings = typed.keep_embeddings;
  run.compression.types = type_options(typed, run.format, run.compression);
  if (run.compression.types) run.compression.matrix.wbits = 16;
  run.compression.selection = {typed.minlayer, typed.maxlayer, typed.prune_only, typed.invert};
  set_refinement(run.compression, typed);
  run.compression.batch_windows = parse_batch_windows(typed.batch_windows);
  run.max_memory = memory::parse_memory_cap(typed.max_memory);
  run.eval = eval_options(typed);
  run.save_dir = typed.save;
  run.shard_bytes = parse_bytes(typed.shard_bytes);
  run.plots_dir = typed.plots;
  run.journal = typed.save;
  run.unfinished = wish_of(typed);
  if (settings.command == "compress" && typed.resume && typed.save.empty()) {
    fail(ErrorKind::kUsage,
         "resume: without --save nothing is kept that a run could go on with; give --save DIR");
  }
  run.settings = result_settings(settings);
  run.record_file = typed.record;
  run.validate();
  return run;
}

pipeline::CompareRun to_compare_run(const flags::ResolvedSettings& settings) {
  pipeline::CompareRun run;
  run.seeds = parse_seeds(settings.values.seeds);
  run.folder = settings.values.plots;
  run.journal = journal_of_comparison(settings);
  run.unfinished = wish_of(settings.values);
  if (run.seeds.size() > 1 && !settings.values.measurements.empty()) {
    fail(ErrorKind::kUsage,
         "measurements: a file belongs to one calibration draw, and there are {} seeds; give one "
         "seed, or leave out --measurements",
         run.seeds.size());
  }
  for (const std::string& method : split_names("methods", settings.values.methods)) {
    flags::ResolvedSettings variant = settings;
    variant.values.method = method;
    variant.values.plots.clear();
    variant.origins["method"] = flags::Origin::kFlag;
    const compress::Method parsed = compress::parse_method(method);
    drop_flags_of_others(variant, parsed);
    if (parsed == compress::Method::kMagnitude) drop_steps(variant.values);
    if (parsed != compress::Method::kMi || settings.values.use_mi_grouping == 0) {
      run.variants.push_back({method, "", to_compress_run(variant)});
      continue;
    }
    for (const std::string& grouping : split_names("groupings", settings.values.groupings)) {
      variant.values.grouping = grouping;
      run.variants.push_back({method, grouping, to_compress_run(variant)});
    }
  }
  run.validate();
  return run;
}

pipeline::EvalRun to_eval_run(const flags::ResolvedSettings& settings) {
  pipeline::EvalRun run{model_options(settings.values), eval_options(settings.values),
                        settings.values.dense};
  run.validate();
  return run;
}

}  // namespace sgpt_mi::cli

#include "sgpt_mi/flags/flag_table.h"

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::flags {
namespace {

constexpr unsigned kOneRun = kCompress | kPlan;
constexpr unsigned kSingle = kOneRun | kSweep;  // what compare takes as lists
constexpr unsigned kRuns = kSingle | kCompare;
constexpr unsigned kScores = kRuns | kEval;
constexpr unsigned kAll = kScores | kInspect | kTokenize;

constexpr const char* kCalibration = "Calibration";
constexpr const char* kPruning = "Pruning";
constexpr const char* kQuantization = "Quantization";
constexpr const char* kWidths = "Widths (rd, mi, enhanced, toky)";
constexpr const char* kGroups = "Groups (mi, rd)";
constexpr const char* kRefinement = "Steps around the sweep (rd; each also for the others)";
constexpr const char* kPlanning = "Measured plan (rd)";
constexpr const char* kObsSweep = "OBS sweep";
constexpr const char* kSelection = "Which linears";
constexpr const char* kComparison = "Comparison";
constexpr const char* kEvaluation = "Evaluation";
constexpr const char* kHub = "Hugging Face Hub";
constexpr const char* kMachine = "Machine";
constexpr const char* kOutput = "Output";
constexpr const char* kGrid = "Sweep";

constexpr bool kCommon = true;  // FlagRow::common of the rows that have it

/// What is calibrated with, and how weights are pruned and quantized.
std::vector<FlagRow> calibration_flags() {
  using S = Settings;
  return {
      {"nsamples", &S::nsamples, "N", kCalibration, kRuns, true, "calibration windows to draw",
       kCommon},
      {"seqlen", &S::seqlen, "N", kCalibration, kScores, true,
       "tokens a window, for calibration and evaluation; 0: min(model's positions, 2048)", kCommon},
      {"seed", &S::seed, "N", kCalibration, kSingle, true,
       "seed of the calibration draw (CPython's random.seed)", kCommon},
      {"batch_windows", &S::batch_windows, "N|auto", kCalibration, kRuns, true,
       "calibration windows in one forward; auto: 4 on a CPU, on a GPU as free memory allows"},
      {"data_dir", &S::data_dir, "DIR", kCalibration, kScores, true,
       "where dataset files lie (default: SGPT_MI_DATA, then the Hugging Face cache, then the Hub)",
       kCommon},
      {"text_key", &S::text_key, "KEY", kCalibration, kScores, true,
       "member or column with the text in files of records; default: text, else sentence, "
       "messages, "
       "conversations"},

      {"method", &S::method, "rd|mi|enhanced|toky|sparsegpt|magnitude", kPruning, kSingle, true,
       "rd plans from measured damage; mi, enhanced and toky score channels; sparsegpt and "
       "magnitude have one width",
       kCommon},
      {"sparsity", &S::sparsity, "X", kPruning, kRuns, true,
       "share of the weights to zero, in [0, 1); 0: none", kCommon},
      {"pattern", &S::pattern, "N:M", kPruning, kRuns, true,
       "keep N of every M weights of a row (the hardware's convention)", kCommon},
      {"prunen", &S::prunen, "N", kPruning, kRuns, true,
       "zero N of every M weights of a row (the SparseGPT script's convention); with --prunem"},
      {"prunem", &S::prunem, "M", kPruning, kRuns, true, "see --prunen"},

      {"wbits", &S::wbits, "B", kQuantization, kRuns, true,
       "bits of a weight's code, 2 to 8; 16: do not quantize", kCommon},
      {"sym", &S::sym, "", kQuantization, kRuns, true,
       "symmetric grid instead of min to max; the formats compressed-tensors and gptq-v1 imply it "
       "(compressed-tensors: unless --sym=false)"},
      {"mse", &S::mse, "", kQuantization, kRuns, true,
       "search each row's clipping range for the least |error|^2.4"},
      {"groupsize", &S::groupsize, "N", kQuantization, kRuns, true,
       "columns that share one grid per row; -1: the whole row", kCommon},
      {"static_groups", &S::static_groups, "", kQuantization, kRuns, true,
       "grids of all groups from the untouched weights"},
  };
}

/// Widths of their own and groups of channels.
std::vector<FlagRow> widths_flags() {
  using S = Settings;
  return {
      {"target_avg_bits", &S::target_avg_bits, "X", kWidths, kRuns, true,
       "code bits a weight on average, pruned ones included; 0: wbits, or 4 when that is 16",
       kCommon},
      {"attention_bits", &S::attention_bits, "X", kWidths, kRuns, true,
       "the same for the linears of the attention; 0: target_avg_bits"},
      {"ffn_bits", &S::ffn_bits, "X", kWidths, kRuns, true,
       "the same for the linears of the MLP; 0: target_avg_bits"},
      {"target_stored_bits", &S::target_stored_bits, "X", kWidths, kRuns, true,
       "bits a weight on disk instead: codes, masks, scales and the rest; 0: off", kCommon},
      {"target_bytes", &S::target_bytes, "SIZE", kWidths, kRuns, true,
       "size of the saved model's weight files instead, such as 300MB", kCommon},
      {"budget_scope", &S::budget_scope, "layer|model", kWidths, kRuns, true,
       "layer: every linear keeps to the target; model: all together"},
      {"bit_allocation", &S::bit_allocation, "budget|quantile|threshold", kWidths, kRuns, true,
       "how widths follow from importance; threshold knows no target"},
      {"bit_thresholds", &S::bit_thresholds, "X,..", kWidths, kRuns, true,
       "of the threshold rule, one fewer than levels, descending"},
      {"toky_thresholds", &S::toky_thresholds, "X,X", kWidths, kRuns, true,
       "of the method toky: contributions above the first get 8 bits, below the second 2"},
      {"levels", &S::levels, "B,..", kWidths, kRuns, true, "widths to choose from, ascending"},
      {"importance_weights", &S::importance_weights, "X,..", kWidths, kRuns, true,
       "shares of activation, Hessian, weight, output and stability"},
      {"share", &S::share, "scale|bits|group", kWidths, kRuns, true,
       "who shares a grid: scale (a row of a group), bits (a column), group (a whole group)"},
      {"channel_scaling", &S::channel_scaling, "A", kWidths, kRuns, true,
       "move scale from activations into weights with this exponent in [0, 1]; -1: off"},

      {"use_mi_grouping", &S::use_mi_grouping, "0|1", kGroups, kRuns, true,
       "0: the method mi gives every channel a width of its own"},
      {"grouping", &S::grouping, "mi|corr|hessian|contiguous|random|kmeans", kGroups, kSingle, true,
       "what brings channels into one group; rd: hessian unless given"},
      {"n_groups", &S::n_groups, "N|auto", kGroups, kRuns, true,
       "groups of a linear's input channels, auto: by the eigengap; rd: whole linears unless "
       "given",
       kCommon},
      {"mi_method", &S::mi_method, "gaussian|histogram|kde|ksg", kGroups, kRuns, true,
       "estimator of the channels' mutual information"},
      {"mi_tokens", &S::mi_tokens, "N", kGroups, kRuns, true,
       "tokens that histogram, kde and ksg look at"},
      {"clustering", &S::clustering, "spectral|hierarchical|kmeans", kGroups, kRuns, true,
       "how groups are found in the affinities of channels"},
  };
}

/// Steps around the sweep, and the measured plan.
std::vector<FlagRow> refinement_flags() {
  using S = Settings;
  return {
      {"drift", &S::drift, "A", kRefinement, kRuns, true,
       "share of the drift from the dense model's activations that is made good, 0 to 1; implies "
       "true_sequential; -1: 1 for rd, else 0"},
      {"drift_residual", &S::drift_residual, "0|1", kRefinement, kRuns, true,
       "also make good what the residual stream has lost; -1: 1 for rd, else 0"},
      {"l0_sweeps", &S::l0_sweeps, "N", kRefinement, kRuns, true,
       "sweeps of coordinate descent that choose the mask again; -1: 3 for rd, else 0"},
      {"refit", &S::refit, "N", kRefinement, kRuns, true,
       "iterations that refit the kept weights; -1: for rd 10, 3 before codes, else 0"},
      {"grid_after_mask", &S::grid_after_mask, "0|1", kRefinement, kRuns, true,
       "fit grids to the kept weights only; -1: 1 for rd, else 0"},
      {"weighted_clip", &S::weighted_clip, "0|1", kRefinement, kRuns, true,
       "search clipping ranges for the least error weighted by diag(H); -1: 1 for rd, else 0"},
      {"polish", &S::polish, "N", kRefinement, kRuns, true,
       "sweeps of coordinate descent on the codes; -1: for rd 3, 2 on levels, else 0"},
      {"scale_step", &S::scale_step, "0|1", kRefinement, kRuns, true,
       "least-squares scales before every polish sweep, of levels' rows after it; -1: 1 for rd's "
       "codes, else 0"},
      {"tune", &S::tune, "N", kRefinement, kRuns, true,
       "tune scales, norms and biases of the whole compressed model on N calibration windows, by "
       "gradients of the divergence from the dense model; codes and bytes stay; 0: none"},

      {"sensitivity", &S::sensitivity, "fisher|energy|none", kPlanning, kRuns, true,
       "what weighs the linears' errors: fisher (a backward pass), energy or none"},
      {"sparsity_range", &S::sparsity_range, "X", kPlanning, kRuns, true,
       "a linear's sparsity is within X of the target; 0: all alike"},
      {"width_plan", &S::width_plan, "0|1", kPlanning, kRuns, true,
       "whether linears may get widths of their own"},
      {"plan_windows", &S::plan_windows, "N", kPlanning, kRuns, true,
       "calibration windows that sensitivities and curves are measured on"},
      {"plan_check", &S::plan_check, "N", kPlanning, kRuns, true,
       "held-out calibration windows on which plans are compared; 0: no check"},
      {"measurements", &S::measurements, "FILE", kPlanning, kRuns, true,
       "keep what was measured, and plan from it when the file is there"},
  };
}

/// The sweep over columns, and which linears are taken.
std::vector<FlagRow> sweep_and_selection_flags() {
  using S = Settings;
  return {
      {"act_order", &S::act_order, "", kObsSweep, kRuns, true,
       "columns in descending order of diag(H)"},
      {"percdamp", &S::percdamp, "X", kObsSweep, kRuns, true,
       "share of mean(diag H) added to the diagonal"},
      {"blocksize", &S::blocksize, "N", kObsSweep, kRuns, true, "columns updated together"},
      {"true_sequential", &S::true_sequential, "", kObsSweep, kRuns, true,
       "calibrate q,k,v, then o, then up, then down, each after the others are compressed"},

      {"minlayer", &S::minlayer, "N", kSelection, kRuns, true, "compress blocks from N on"},
      {"maxlayer", &S::maxlayer, "N", kSelection, kRuns, true, "compress blocks below N"},
      {"prune_only", &S::prune_only, "TEXT", kSelection, kRuns, true,
       "compress only linears whose name contains TEXT"},
      {"invert", &S::invert, "", kSelection, kRuns, true, "compress the linears not selected"},
  };
}

/// Evaluation, the Hub.
std::vector<FlagRow> evaluation_and_hub_flags() {
  using S = Settings;
  return {
      {"eval", &S::eval, "wikitext2,ptb,c4|none|FILE", kEvaluation, kScores, true,
       "comma-separated: names of sets, text files, recorded windows (.safetensors)", kCommon},
      {"eval_windows", &S::eval_windows, "N", kEvaluation, kScores, true,
       "score only the first N windows of each set; 0: all", kCommon},
      {"dense", &S::dense, "MODEL", kEvaluation, kEval, true,
       "also score the model that a compressed one was made from, and KL between them", kCommon},

      {"revision", &S::revision, "REV", kHub, kAll | kExport, true,
       "branch, tag or commit of a MODEL that is a Hub id (default: main)"},
      {"offline", &S::offline, "", kHub, kAll | kExport, true,
       "fetch nothing from the Hub: only its local cache (as HF_HUB_OFFLINE=1)"},
  };
}

std::vector<FlagRow> machine_flags() {
  using S = Settings;
  return {
      {"device", &S::device, "auto|cpu|cuda|cuda:N", kMachine, kScores, true,
       "auto (cuda when there is a GPU), cpu, cuda (the first visible GPU, and all of them for the "
       "rows of a matrix), cuda:N (one alone)",
       kCommon},
      {"dtype", &S::dtype, "auto|float32|float16|bfloat16", kMachine, kScores, true,
       "type to compute in; auto: on the CPU float32, calibrating in bfloat16 where it multiplies "
       "that "
       "and the model is stored in 16 bits or fewer; on a GPU the stored type"},
      {"threads", &S::threads, "N", kMachine, kScores, true, "CPU threads; 0: automatic"},
      {"ranks", &S::ranks, "N", kMachine, kPlan, true,
       "plan for N ranks of mpirun: memory of each, bytes between them and time; 0: one process",
       kCommon},
      {"mpi_weights", &S::mpi_weights, "read|broadcast", kMachine, kOneRun, true,
       "under mpirun: every rank reads the model, or rank 0 reads it and sends it to the others"},
      {"max_memory", &S::max_memory, "SIZE", kMachine, kRuns, true,
       "memory to plan with where the run computes, such as 20GiB, or cuda:SIZE,host:SIZE; what "
       "does not fit goes to host memory and then to a file in TMPDIR (default: what is free)",
       kCommon},
  };
}

/// What a run writes.
std::vector<FlagRow> output_flags() {
  using S = Settings;
  return {
      {"save", &S::save, "DIR|FILE", kOutput, kOneRun, true,
       "write the compressed model: a folder, or the file of a format in one file; takes the "
       "place of an earlier one",
       kCommon},
      {"resume", &S::resume, "", kOutput, kCompress | kCompare, false,
       "go on with the unfinished run in DIR.partial, beside the DIR of --save (compare: of "
       "--plots or --report, else sgpt-mi-compare-*.partial here); starts anew when there is none",
       kCommon},
      {"format", &S::format, "auto|packed|hf|gguf|gptq|gptq-v1|compressed-tensors", kOutput,
       kRuns | kExport, true,
       "packed: codes, masks, grids; hf: dense tensors; gguf: one file for llama.cpp; gptq, "
       "compressed-tensors: what transformers and vLLM read; auto: gguf for a NAME.gguf to write, "
       "else packed for codes that are compressed now, hf for the rest",
       kCommon},
      {"coding", &S::coding, "auto|fixed|entropy", kOutput, kRuns, true,
       "of format packed: codes of fixed widths, or levels for an entropy coder; auto: entropy "
       "with "
       "rd, unless a flag asks for groups, grids or widths",
       kCommon},
      {"keep_embeddings", &S::keep_embeddings, "", kOutput, kRuns, true,
       "embedding and head stay as they are; with entropy coding they are compressed too, unless "
       "sensitivity is not fisher"},
      {"gguf_type", &S::gguf_type, "TYPE", kOutput, kRuns | kExport, true,
       "block type of all linears in format gguf, as llama.cpp calls it: Q4_K; without it compress "
       "plans types for --target_bytes or --target_stored_bits, and export writes floats",
       kCommon},
      {"gguf_types", &S::gguf_types, "NAME=TYPE,…", kOutput, kRuns | kExport, true,
       "types of some tensors: attn_v=Q6_K,token_embd=Q8_0"},
      {"shard_bytes", &S::shard_bytes, "SIZE", kOutput, kOneRun | kExport, true,
       "split the weights into files of at most this, such as 2GB; 0: as the format does"},
      {"plots", &S::plots, "DIR", kOutput, kOneRun | kCompare, true,
       "write pictures and a report page"},
      {"record", &S::record, "FILE", kOutput, kOneRun, true,
       "write a page (HTML) that shows where a run went wrong or is odd, also when it fails"},
      {"report", &S::report, "FILE", kOutput, kOneRun | kCompare | kEval | kInspect, true,
       "write all results as JSON", kCommon},
      {"trace", &S::trace, "FILE", kOutput, kOneRun | kCompare | kEval | kSweep, true,
       "write when every stage began and ended (Chrome's trace format)"},
  };
}

/// Several runs: `sweep` and `compare`.
std::vector<FlagRow> grid_and_comparison_flags() {
  using S = Settings;
  return {
      {"model", &S::model, "MODEL", kGrid, kSweep, false, "instead of the file's \"model\"",
       kCommon},
      {"dataset", &S::dataset, "DATASET", kGrid, kSweep, false,
       "calibration texts instead of the file's \"dataset\"", kCommon},
      {"out", &S::out, "DIR", kGrid, kSweep, false, "results go here instead of the file's \"out\"",
       kCommon},
      {"only", &S::only, "I/N", kGrid, kSweep, false,
       "run cells I, I + N, I + 2N, ... (from 1) and write no tables", kCommon},
      {"dry_run", &S::dry_run, "", kGrid, kSweep, false, "list the cells and run none", kCommon},
      {"methods", &S::methods, "NAME,..", kComparison, kCompare, true,
       "methods to compare; the first is the baseline", kCommon},
      {"groupings", &S::groupings, "NAME,..", kComparison, kCompare, true,
       "groupings that the method mi is run with", kCommon},
      {"seeds", &S::seeds, "N,..", kComparison, kCompare, true,
       "calibration draws; every method runs on each", kCommon},
  };
}

/// Files and stderr of every subcommand, and what only one has.
std::vector<FlagRow> other_output_flags() {
  using S = Settings;
  return {
      {"output", &S::output, "DIR|FILE", kOutput, kExport, false,
       "folder or file to write (-o DIR)", kCommon},
      {"no_special", &S::no_special, "", kOutput, kTokenize, false, "do not add BOS or EOS"},
      {"config", &S::config, "FILE", kOutput, kOneRun | kCompare | kEval, false,
       "read flags from a JSON object; flags on the command line win", kCommon},
      {"print_config", &S::print_config, "", kOutput, kOneRun | kCompare | kEval, false,
       "print the resolved flags and where each came from, and stop"},
      {"quiet", &S::quiet, "", kOutput, kAll, true, "only warnings and errors on stderr"},
      {"verbose", &S::verbose, "", kOutput, kAll, true, "also progress details on stderr"},
  };
}

std::vector<FlagRow> make_table() {
  std::vector<FlagRow> table;
  for (const auto& part : {calibration_flags(), widths_flags(), refinement_flags(),
                           sweep_and_selection_flags(), evaluation_and_hub_flags(), machine_flags(),
                           output_flags(), grid_and_comparison_flags(), other_output_flags()}) {
    table.insert(table.end(), part.begin(), part.end());
  }
  return table;
}

template <typename T>
constexpr const char* type_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  return "an integer that fits";
}

/// Whether a JSON value can become a T without losing anything.
template <typename T>
bool holds(const nlohmann::json& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, double>) {
    return value.is_number();
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value.is_string() || value.is_number();
  } else {
    if (value.is_number_unsigned()) return std::in_range<T>(value.get<std::uint64_t>());
    return value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
    }
  }
  return row[b.size()];
}

}  // namespace

const std::vector<FlagRow>& flag_table() {
  static const std::vector<FlagRow> table = make_table();
  return table;
}

std::vector<const FlagRow*> flags_of(unsigned command) {
  std::vector<const FlagRow*> rows;
  for (const FlagRow& row : flag_table()) {
    if ((row.commands & command) != 0) rows.push_back(&row);
  }
  return rows;
}

std::vector<std::string> flag_names(const FlagRow& row) {
  const std::string name = std::string("--") + row.key;
  // The one flag with a short form is the customary -o.
  if (std::string_view(row.key) == "output") return {"-o", name};
  return {name};
}

nlohmann::ordered_json flag_value(const Settings& settings, const FlagRow& row) {
  return std::visit([&](auto member) { return nlohmann::ordered_json(settings.*member); },
                    row.target);
}

void set_flag(Settings& settings, const FlagRow& row, const nlohmann::json& value) {
  std::visit(
      [&](auto member) {
        using T = std::remove_reference_t<decltype(settings.*member)>;
        if (!holds<T>(value)) {
          fail(ErrorKind::kUsage, "config: '{}' is {}; {} was expected", row.key, value.dump(),
               type_name<T>());
        }
        if constexpr (std::is_same_v<T, std::string>) {
          settings.*member = value.is_string() ? value.get<std::string>() : value.dump();
        } else {
          settings.*member = value.get<T>();
        }
      },
      row.target);
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string nearest;
  // More than a third of the letters wrong is another word, not a slip.
  std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace sgpt_mi::flags

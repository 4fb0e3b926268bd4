#include "command_table.h"

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::flags {
namespace {

constexpr Positional kModel{"MODEL", &Settings::model, true,
                            "folder, GGUF file, or Hub id, fetched when it is not in the cache "
                            "(facebook/opt-125m, ID:Q4_K_M)"};
constexpr Positional kDataset{"DATASET", &Settings::dataset, true,
                              "wikitext2, ptb, c4, a mix c4:64,ptb:64, a file (text, JSON, "
                              "parquet, Arrow; packed or not) or recorded "
                              "windows (.safetensors)"};
constexpr Positional kText{"FILE", &Settings::file, false, "a text file; -: standard input"};
constexpr Positional kGridFile{
    "CONFIG", &Settings::grid, true,
    "JSON file with model, dataset, out, base, grid or variants (configs/README.md)"};
constexpr Positional kShell{"bash|zsh|fish", &Settings::shell, true,
                            "the shell, as in: source <(sgpt-mi completion bash)"};

}  // namespace

const std::vector<CommandRow>& command_table() {
  static const std::vector<CommandRow> table{
      {"compress",
       kCompress,
       "calibrate, compress block by block, evaluate, save",
       {kModel, kDataset}},
      {"eval", kEval, "perplexity of a dense or a compressed model", {kModel}},
      {"compare",
       kCompare,
       "compress with several methods on the same data, one table, pictures",
       {kModel, kDataset}},
      {"sweep",
       kSweep,
       "compress with every combination of flags in a file, resumable",
       {kGridFile}},
      {"plan", kPlan, "check everything a compress would need, and do nothing", {kModel, kDataset}},
      {"inspect",
       kInspect,
       "tensors, types, bytes by part, statistics of a compressed model",
       {kModel}},
      {"export",
       kExport,
       "write a model in another format: dense tensors, GGUF, GPTQ, compressed-tensors",
       {kModel}},
      {"tokenize", kTokenize, "ids of a text as JSON {ids, count, sha256}", {kModel, kText}},
      {"completion",
       kCompletion,
       "print a script that completes subcommands, flags and values in a shell",
       {kShell}}};
  return table;
}

const CommandRow& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandRow& row : command_table()) {
    if (name == row.name) return row;
    names.emplace_back(row.name);
  }
  const std::string nearest = nearest_name(name, names);
  fail(ErrorKind::kUsage, "unknown subcommand '{}'; {}", name,
       nearest.empty() ? "see sgpt-mi --help" : "did you mean '" + nearest + "'?");
}

}  // namespace sgpt_mi::flags

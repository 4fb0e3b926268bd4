#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/program.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::test {

/// The embedded demo model: a small OPT with its tokenizer and texts.
inline std::filesystem::path demo_model() { return SGPT_MI_SOURCE_DIR "/scripts/demo_model"; }
inline std::string demo_text(const std::string& name) {
  return (demo_model() / "text" / name).string();
}

/// A copy of the demo model that a test may damage.
inline std::filesystem::path copy_demo(const TemporaryFolder& folder) {
  const std::filesystem::path copy = folder.path() / "model";
  std::filesystem::copy(demo_model(), copy, std::filesystem::copy_options::recursive);
  return copy;
}

/// Runs the program to its end.
inline ProgramResult run_program(const TemporaryFolder& folder, std::vector<std::string> arguments,
                                 const Program::Streams& streams = {}) {
  return Program(folder.path(), std::move(arguments), streams).finish();
}

/// Flags of a compression that takes a second or two.
inline std::vector<std::string> small_compression(const std::string& model) {
  return {"compress",
          model,
          demo_text("train.txt"),
          "--sparsity",
          "0.5",
          "--wbits",
          "4",
          "--nsamples",
          "8",
          "--seqlen",
          "128",
          "--eval",
          demo_text("test.txt"),
          "--eval_windows",
          "4",
          "--device",
          "cpu"};
}

inline std::vector<std::string> small_evaluation(const std::string& model) {
  return {"eval",           model, "--seqlen", "128", "--eval", demo_text("test.txt"),
          "--eval_windows", "4",   "--device", "cpu"};
}

inline std::vector<std::string> operator+(std::vector<std::string> left,
                                          const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace sgpt_mi::test

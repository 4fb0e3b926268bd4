#include "output_places.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::cli {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

bool same_place(const fs::path& a, const fs::path& b) {
  std::error_code not_there;
  return fs::equivalent(a, b, not_there);
}

/// Whether a path is, or is in, what a command reads.
bool is_read(const fs::path& path, const flags::Settings& typed) {
  std::vector<std::string> inputs = eval_sets(typed.eval);
  inputs.insert(inputs.end(),
                {typed.model, typed.dense, typed.dataset, typed.file, typed.grid, typed.config});
  const bool of_model = formats::is_model_file(path.filename().string()) ||
                        path.extension() == ".safetensors" || path.extension() == ".gguf";
  return std::any_of(inputs.begin(), inputs.end(), [&](const std::string& input) {
    return same_place(path, input) || (of_model && same_place(folder_of(path), input));
  });
}

void require_writable(const char* flag, const fs::path& path, const fs::path& folder) {
  if (fs::is_directory(folder) && access(folder.c_str(), W_OK) == 0) return;
  fail(ErrorKind::kInput, "{}: {} cannot be written: {} is not a writable folder", flag,
       path.string(), folder.string());
}

void check_file(const char* flag, const std::string& text, const flags::Settings& typed) {
  if (text.empty()) return;
  const fs::path path = text;
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  if (fs::is_directory(there)) {
    fail(ErrorKind::kInput, "{}: {} is a folder; give a file name", flag, text);
  }
  if (fs::exists(there) && !fs::is_regular_file(there)) return;  // /dev/stdout
  // The folder of --save is made by the run.
  const bool of_save = !typed.save.empty() && fs::absolute(folder_of(path)).lexically_normal() ==
                                                  fs::absolute(typed.save).lexically_normal();
  if (!of_save || fs::exists(folder_of(path))) require_writable(flag, path, folder_of(path));
  if (fs::exists(there) && is_read(path, typed)) {
    fail(ErrorKind::kUsage, "{}: {} is a file that this command reads; choose another name", flag,
         text);
  }
}

/// A folder, which is made where it is not there.
void check_folder(const char* flag, const std::string& text) {
  if (text.empty()) return;
  fs::path folder = fs::absolute(text).lexically_normal();
  while (!fs::exists(folder) && folder != folder.parent_path()) folder = folder.parent_path();
  require_writable(flag, text, folder);
}

}  // namespace

void check_output_places(const flags::Settings& typed) {
  check_file("report", typed.report, typed);
  check_file("record", typed.record, typed);
  check_file("trace", typed.trace, typed);
  // A file of measurements that is there is only read.
  if (!fs::is_regular_file(typed.measurements)) {
    check_file("measurements", typed.measurements, typed);
  }
  check_folder("plots", typed.plots);
}

}  // namespace sgpt_mi::cli

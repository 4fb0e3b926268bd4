#include "output_places.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::cli {
namespace {

namespace fs = std::filesystem;

/// Absolute, without "." and a trailing slash; links stay.
fs::path plain(const fs::path& path) {
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

bool same_place(const fs::path& a, const fs::path& b) {
  std::error_code not_there;
  return fs::equivalent(a, b, not_there);
}

/// Files and folders that a command reads. A mix of texts is "a.txt:64,b.txt:64".
std::vector<std::string> inputs_of(const flags::Settings& typed) {
  std::vector<std::string> inputs = eval_sets(typed.eval);
  inputs.insert(inputs.end(), {typed.model, typed.dense, typed.dataset, typed.file, typed.grid,
                               typed.config, typed.measurements});
  for (std::size_t begin = 0; begin < typed.dataset.size();) {
    const std::size_t end = std::min(typed.dataset.find(',', begin), typed.dataset.size());
    const std::string part = typed.dataset.substr(begin, end - begin);
    inputs.push_back(part.substr(0, part.rfind(':')));
    begin = end + 1;
  }
  return inputs;
}

/// Whether a path is, or is a model's file in, what a command reads.
bool is_read(const fs::path& path, const flags::Settings& typed) {
  const bool of_model = formats::is_model_file(path.filename().string()) ||
                        path.extension() == ".safetensors" || path.extension() == ".gguf";
  const std::vector<std::string> inputs = inputs_of(typed);
  return std::any_of(inputs.begin(), inputs.end(), [&](const std::string& input) {
    return same_place(path, input) || (of_model && same_place(path.parent_path(), input));
  });
}

void require_writable(const char* flag, const fs::path& path, const fs::path& folder) {
  if (fs::is_directory(folder) && access(folder.c_str(), W_OK) == 0) return;
  fail(ErrorKind::kInput, "{}: {} cannot be written: {} is not a writable folder", flag,
       path.string(), folder.string());
}

/// A file in the folder of --save, which the run makes or replaces. Only a report is written when
/// that is done.
bool is_in_saved(const char* flag, const fs::path& file, const flags::Settings& typed) {
  if (typed.save.empty() || file.parent_path() != plain(typed.save)) return false;
  if (formats::is_model_file(file.filename().string())) {
    fail(ErrorKind::kUsage, "{}: {} is a file of the model that --save writes; choose another name",
         flag, file.string());
  }
  return std::string_view(flag) == "report";
}

void check_file(const char* flag, const std::string& text, const flags::Settings& typed) {
  if (text.empty() || io::is_written_directly(text)) return;
  const fs::path path = plain(io::behind_links(text));
  if (fs::is_directory(path)) {
    fail(ErrorKind::kInput, "{}: {} is a folder; give a file name", flag, text);
  }
  if (!is_in_saved(flag, path, typed) || fs::exists(path.parent_path())) {
    require_writable(flag, text, path.parent_path());
  }
  if (fs::exists(path) && is_read(path, typed)) {
    fail(ErrorKind::kUsage, "{}: {} is a file that this command reads; choose another name", flag,
         text);
  }
}

/// A folder, which is made where it is not there.
void check_folder(const char* flag, const std::string& text) {
  if (text.empty()) return;
  fs::path folder = plain(text);
  while (!fs::exists(folder) && folder != folder.parent_path()) folder = folder.parent_path();
  require_writable(flag, text, folder);
}

/// A folder that an earlier run has written may be replaced where it holds nothing but the model
/// and what this command writes there again.
void check_replaced(const char* flag, const std::string& text,
                    const std::vector<std::string>& again) {
  std::error_code error;
  if (text.empty() || !fs::exists(fs::path(text) / formats::SavingStore::kReportFile, error))
    return;
  const fs::directory_iterator entries(text, error);
  if (error) fail(ErrorKind::kInput, "{}: {} cannot be read: {}", flag, text, error.message());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool temporary = name.starts_with('.') && name.ends_with(".tmp");
    const bool rewritten = std::any_of(again.begin(), again.end(), [&](const std::string& result) {
      return !result.empty() && same_place(result, entry.path());
    });
    if (temporary || rewritten || formats::is_model_file(name)) continue;
    fail(ErrorKind::kUsage,
         "{}: {} holds {} beside an earlier result, and would be replaced with all that is in it; "
         "move that away, or choose another folder",
         flag, text, name);
  }
}

}  // namespace

void check_output_places(const flags::Settings& typed) {
  const std::array<std::pair<const char*, std::string>, 3> files{
      {{"report", typed.report}, {"record", typed.record}, {"trace", typed.trace}}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    check_file(files[i].first, files[i].second, typed);
    for (std::size_t j = 0; j < i; ++j) {
      if (files[i].second.empty() || files[j].second.empty()) continue;
      if (plain(files[i].second) != plain(files[j].second)) continue;
      if (io::is_written_directly(files[i].second)) continue;
      fail(ErrorKind::kUsage, "{} and {} are both {}; give two names", files[j].first,
           files[i].first, files[i].second);
    }
  }
  // A file of measurements that is there is only read.
  if (!fs::is_regular_file(typed.measurements)) {
    check_file("measurements", typed.measurements, typed);
  }
  check_folder("plots", typed.plots);
  const std::vector<std::string> again{typed.report, typed.record, typed.trace, typed.plots,
                                       typed.measurements};
  check_replaced("save", typed.save, again);
  check_replaced("output", typed.output, again);
}

}  // namespace sgpt_mi::cli

#include "dataset_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::text {
namespace {

namespace fs = std::filesystem;

/// Where one split of a set may lie.
struct Source {
  std::string_view set;
  Split split;
  /// Below data_dir, best first; a * in the name stands for anything.
  std::array<std::string_view, 2> local;
  /// Its repository on the Hub, and older names that a cache may hold.
  std::array<std::string_view, 2> hub_ids;
  /// What a path of the repository must contain: the configuration and the split.
  std::string_view hub_config;
  std::string_view hub_split;
  /// The file to download where its name is known: a list of all files of c4 takes 70,000 lines.
  std::string_view hub_name = "";
};

constexpr Source kSources[] = {{"wikitext2",
                                Split::kTest,
                                {"wikitext2/wiki.test.raw"},
                                {"Salesforce/wikitext", "wikitext"},
                                "/wikitext-2-raw-v1/",
                                "test"},
                               {"wikitext2",
                                Split::kTrain,
                                {"wikitext2/wiki.train.raw", "wikitext2/wiki.train.tokens"},
                                {"Salesforce/wikitext", "wikitext"},
                                "/wikitext-2-raw-v1/",
                                "train"},
                               {"ptb",
                                Split::kTest,
                                {"ptb/ptb.test.txt"},
                                {"ptb-text-only/ptb_text_only", "ptb_text_only"},
                                "",
                                "test"},
                               {"ptb",
                                Split::kTrain,
                                {"ptb/ptb.train.txt"},
                                {"ptb-text-only/ptb_text_only", "ptb_text_only"},
                                "",
                                "train"},
                               {"c4",
                                Split::kTest,
                                {"c4/c4-validation*.json.gz"},
                                {"allenai/c4"},
                                "/en/",
                                "c4-validation",
                                "en/c4-validation.00000-of-00008.json.gz"},
                               {"c4",
                                Split::kTrain,
                                {"c4/c4-train*.json.gz"},
                                {"allenai/c4"},
                                "/en/",
                                "c4-train",
                                "en/c4-train.00000-of-01024.json.gz"}};

/// Where the Hub keeps a set as parquet that its authors published as a script.
constexpr const char* kConverted = "refs/convert/parquet";

constexpr std::pair<std::string_view, std::string_view> kHowToGet[] = {
    {"wikitext2", "wikitext-2-raw-v1.zip, or the Hub data set Salesforce/wikitext"},
    {"ptb",
     "the Penn Treebank files of Mikolov's simple-examples.tgz, or the Hub data set "
     "ptb-text-only/ptb_text_only"},
    {"c4",
     "en/c4-train.00000-of-01024.json.gz and en/c4-validation.00000-of-00008.json.gz of the "
     "Hub data set allenai/c4"}};

/// Files that match a path with at most one * in its last part, in name order.
std::vector<fs::path> matching_files(const fs::path& pattern) {
  const std::string name = pattern.filename().string();
  const std::size_t star = name.find('*');
  if (star == std::string::npos) {
    return fs::is_regular_file(pattern) ? std::vector{pattern} : std::vector<fs::path>();
  }
  std::vector<fs::path> found;
  if (!fs::is_directory(pattern.parent_path())) return found;
  for (const auto& entry : fs::directory_iterator(pattern.parent_path())) {
    const std::string candidate = entry.path().filename().string();
    if (candidate.size() + 1 >= name.size() && candidate.starts_with(name.substr(0, star)) &&
        candidate.ends_with(name.substr(star + 1))) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Whether a file of the repository, by its path there, holds the split.
bool holds_split(const Source& source, const std::string& path) {
  const std::string below = "/" + path;
  return documents::is_document_file(path) && below.find(source.hub_config) != std::string::npos &&
         below.find(fmt::format("/{}", source.hub_split)) != std::string::npos;
}

/// The record files of a split in a snapshot of the repository, in name order.
std::vector<fs::path> cached_files(const fs::path& snapshot, const Source& source) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(snapshot)) {
    if (entry.is_regular_file() &&
        holds_split(source, entry.path().lexically_relative(snapshot).generic_string())) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path download(const Source& source) {
  return hub::download({std::string(source.hub_ids[0]),
                        source.hub_name.empty() ? std::vector<std::string>{"main", kConverted}
                                                : std::vector<std::string>{"main"},
                        std::string(source.hub_name),
                        [&](const std::string& path) { return holds_split(source, path); }});
}

/// The file of a split. Of several (shards of c4) the first by name is taken, as the reference
/// loaders take shard 0.
fs::path find_file(const Source& source, const DataSettings& settings) {
  std::vector<std::string> tried;
  for (const std::string_view local : source.local) {
    if (local.empty() || settings.data_dir.empty()) continue;
    const fs::path pattern = settings.data_dir / local;
    const std::vector<fs::path> found = matching_files(pattern);
    if (!found.empty()) return found.front();
    tried.push_back(pattern.string());
  }
  for (const std::string_view id : source.hub_ids) {
    if (id.empty()) continue;
    for (const fs::path& snapshot : hub::dataset_snapshots(std::string(id))) {
      const std::vector<fs::path> found = cached_files(snapshot, source);
      if (!found.empty()) return found.front();
    }
    tried.push_back(fmt::format("{} in {}", id, hub::cache_folder().string()));
  }
  if (!hub::is_offline()) {
    try {
      return download(source);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      fail(ErrorKind::kInput, "{} (nor is the {} file of '{}' in {})", error.what(),
           source.hub_split, source.set, fmt::join(tried, ", "));
    }
  }
  const auto* how = std::find_if(std::begin(kHowToGet), std::end(kHowToGet),
                                 [&](const auto& row) { return row.first == source.set; });
  fail(ErrorKind::kInput,
       "text: no {} file of '{}' found; tried {}; get {} and give --data-dir, or leave out "
       "--offline and HF_HUB_OFFLINE{}",
       source.hub_split, source.set, fmt::join(tried, ", "), how->second,
       source.split == Split::kTest ? ", or give --eval FILE or --eval none" : "");
}

const Source& source_of(const std::string& set, Split split) {
  for (const Source& source : kSources) {
    if (source.set == set && source.split == split) return source;
  }
  fail(ErrorKind::kInternal, "text: load_rows was asked for the unknown set '{}'", set);
}

constexpr std::string_view kBlanks = " \t\n\v\f\r";

std::string stripped(const std::string& line) {
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

/// Lines with their newline; the last may lack one.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t newline = text.find('\n', begin);
    const std::size_t end = newline == std::string::npos ? text.size() : newline + 1;
    lines.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return lines;
}

}  // namespace

bool is_dataset_name(const std::string& name) {
  return std::any_of(std::begin(kSources), std::end(kSources),
                     [&](const Source& source) { return source.set == name; });
}

void require_tokenizer(const tokenizer::Tokenizer* tokenizer, const std::string& set) {
  if (tokenizer != nullptr) return;
  fail(ErrorKind::kInput,
       "text: '{}' needs a tokenizer and the model has none; use windows recorded in a "
       ".safetensors file",
       set);
}

std::vector<std::string> wikitext_rows(const std::string& text) {
  std::vector<std::string> rows = lines_of(text);
  for (std::string& row : rows) {
    if (stripped(row).empty()) row.clear();
  }
  return rows;
}

std::vector<std::string> load_rows(const std::string& set, Split split,
                                   const DataSettings& settings, std::size_t limit) {
  const fs::path path = find_file(source_of(set, split), settings);
  if (documents::is_document_file(path)) return documents::read_documents(path, limit);
  const std::string text = documents::read_text(path);
  if (set == "wikitext2") return wikitext_rows(text);
  std::vector<std::string> rows = lines_of(text);
  std::transform(rows.begin(), rows.end(), rows.begin(), stripped);
  return rows;
}

std::string join(const std::vector<std::string>& rows, const std::string& separator) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) text += separator;
    text += rows[i];
  }
  return text;
}

}  // namespace sgpt_mi::text

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sgpt_mi::hub {

/// How far the download of one snapshot is.
struct Progress {
  std::string what;          ///< id of the repository
  std::int64_t done = 0;     ///< bytes, those of earlier tries included
  std::int64_t fetched = 0;  ///< bytes that came over the line
  std::int64_t total = 0;    ///< bytes of all files asked for; 0: not known
  std::int64_t files = 0;    ///< number of those files
  bool finished = false;     ///< told once, when everything lies in the cache
  bool waiting = false;      ///< nothing comes over the line: another process fetches the rest
};

/// What the process wants of the Hub besides the environment (environment.h of this room).
struct Session {
  bool offline = false;  ///< as HF_HUB_OFFLINE=1: no connection, only the cache
  std::function<void(const Progress&)> progress;  ///< called a few times a second; may be empty
  std::function<void(const std::string&)> warn;   ///< a line for the user; may be empty
  double first_delay_seconds = 1.0;               ///< before the first retry; doubles
};

/// For the whole process, before work starts and from one thread.
void set_up(Session session);

/// Whether no connection may be opened: Session::offline, HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE.
[[nodiscard]] bool is_offline();

/// The folder of the Hugging Face cache: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
/// XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub; ~ and $NAME are expanded in each.
[[nodiscard]] std::filesystem::path cache_folder();

/// A model on the Hub: ID, ID:FILE or ID:Q4_K_M, and its revision.
struct ModelName {
  std::string id;                 ///< NAME or ORG/NAME
  std::string file;               ///< a GGUF file or the type in its name; empty: none was named
  std::string revision = "main";  ///< branch, tag or commit
};

/// "ID", "ID:FILE", each with "@REVISION" behind it when it is not main (flag --revision); nothing
/// when the text cannot be one.
[[nodiscard]] std::optional<ModelName> parse_model_name(const std::string& text);

/// Which of a model's files are wanted.
enum class Part : std::uint8_t { kAll, kTokenizer };

/// The folder with config.json, tokenizer and weights, or the (first) GGUF file, of a model: from
/// the cache when everything needed lies there, else downloaded into it.
///
/// Safetensors go before .bin files; a repository with neither gives its GGUF model when it is the
/// only one; offline, where nobody knows the others, the only one in the cache, with a warning.
/// Whatever gets its name in the cache has the size that was announced and, where the Hub names
/// one, the hash.
/// Throws Error(kInput) saying what is missing and what to do, Error(kInterrupted) after Ctrl-C;
/// what was downloaded so far is kept for the next try in both cases.
[[nodiscard]] std::filesystem::path find_model(const ModelName& name, Part part = Part::kAll);

/// Snapshots of a data set in the cache: those that its refs name, main first; without refs all.
[[nodiscard]] std::vector<std::filesystem::path> dataset_snapshots(const std::string& id);

/// One file of a data set on the Hub.
struct DatasetFile {
  std::string id;
  std::vector<std::string> revisions;              ///< the first that has the file is taken
  std::string name;                                ///< of the file, or
  std::function<bool(const std::string&)> wanted;  ///< which of the names; the first in name order
};

/// Downloads the file into the cache and returns its path there. Errors as find_model.
[[nodiscard]] std::filesystem::path download(const DatasetFile& file);

}  // namespace sgpt_mi::hub

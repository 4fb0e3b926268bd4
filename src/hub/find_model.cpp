#include <algorithm>
#include <set>
#include <utility>

#include "environment.h"
#include "model_choice.h"
#include "remote_repo.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

Session& session() {
  static Session one;
  return one;
}

/// What the cache answers in part. The Hub is asked, or the user told, once a process.
std::set<std::string>& open_questions() {
  static std::set<std::string> one;
  return one;
}

bool is_first_time(const ModelName& name, Part part) {
  const char* const what = part == Part::kAll ? "all" : "tokenizer";
  return open_questions()
      .insert(fmt::format("{}@{}:{} {}", name.id, name.revision, name.file, what))
      .second;
}

bool is_certain(const LocalModel& cached) { return !cached.is_guess && cached.lacks.empty(); }

/// Fetches what a choice names, the shards of an index after the index.
fs::path fetch_choice(RemoteRepo& remote, const std::string& commit, const Choice& choice) {
  remote.fetch(remote.describe(commit, choice.files));
  const fs::path snapshot = remote.cache().snapshot(commit);
  if (!choice.index.empty()) {
    remote.fetch(remote.describe(commit, shards_of(snapshot / choice.index)));
  }
  remote.finish(commit);
  return choice.gguf.empty() ? snapshot : snapshot / choice.gguf;
}

fs::path download_model(const ModelName& name, Part part) {
  RemoteRepo remote({Kind::kModel, name.id}, name.revision, session());
  const Listing listing = remote.list();
  return fetch_choice(remote, listing.commit, choose_files(name, listing.names, part));
}

void warn(const std::string& line) {
  if (session().warn) session().warn(line);
}

/// A cached model without all files of its tokenizer: other programs fetch the weights, or the
/// vocabulary, alone. The Hub is asked once whether there are more.
fs::path add_tokenizer(const ModelName& name, const LocalModel& cached) {
  RemoteRepo remote({Kind::kModel, name.id}, cached.path.filename().string(), session());
  try {
    const Listing listing = remote.list(false);
    Choice choice = choose_files(name, listing.names, Part::kTokenizer);
    std::erase_if(choice.files, [&](const std::string& file) {
      std::error_code not_there;
      return fs::exists(cached.path / file, not_there);
    });
    return choice.files.empty() ? cached.path : fetch_choice(remote, listing.commit, choice);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    warn(fmt::format("{} is in the cache without {}: {}", name.id, cached.lacks, error.what()));
    return cached.path;
  }
}

/// Tells what nobody can be asked about.
void warn_offline(const ModelName& name, const LocalModel& cached) {
  if (!cached.lacks.empty()) {
    warn(fmt::format(
        "{} is in the cache without {}; token ids are wrong if the Hub has it: leave --offline and "
        "HF_HUB_OFFLINE out once",
        name.id, cached.lacks));
  }
  if (cached.is_guess) {
    warn(fmt::format("{}: taken: {}, the only GGUF model in the cache; {}:FILE names another",
                     name.id, cached.path.string(), name.id));
  }
}

}  // namespace

void set_up(Session wanted) {
  session() = std::move(wanted);
  open_questions().clear();
}

bool is_offline() { return session().offline || offline_by_environment(); }

std::optional<ModelName> parse_model_name(const std::string& text) {
  ModelName name;
  const std::size_t at = text.find('@');
  const std::size_t colon = text.substr(0, at).find(':');
  name.id = text.substr(0, std::min(at, colon));
  if (colon != std::string::npos) name.file = text.substr(0, at).substr(colon + 1);
  if (at != std::string::npos) name.revision = text.substr(at + 1);
  const bool file = colon == std::string::npos || is_path_below(name.file);
  if (!is_id(name.id) || !file || !is_path_below(name.revision)) return std::nullopt;
  return name;
}

fs::path find_model(const ModelName& name, Part part) {
  const RepoCache cache({Kind::kModel, name.id});
  const auto snapshot = cache.find_snapshot(name.revision);
  const auto local = snapshot ? complete_model(*snapshot, name, part) : std::optional<LocalModel>();
  if (local && (is_certain(*local) || !is_first_time(name, part))) return local->path;
  if (is_offline() && local) {
    warn_offline(name, *local);
    return local->path;
  }
  if (is_offline()) {
    fail(
        ErrorKind::kInput,
        "hub: model '{}' at revision '{}' is not whole in the Hugging Face cache {}, and --offline "
        "or HF_HUB_OFFLINE forbids to fetch it; leave that out, or set HF_HOME or HF_HUB_CACHE to "
        "the cache that holds it",
        name.id, name.revision, cache.folder().string());
  }
  if (!local) return download_model(name, part);
  if (!local->is_guess) return add_tokenizer(name, *local);
  return download_model({name.id, name.file, snapshot->filename().string()}, part);
}

std::vector<fs::path> dataset_snapshots(const std::string& id) {
  return RepoCache({Kind::kDataset, id}).snapshots();
}

fs::path download(const DatasetFile& file) {
  for (const std::string& revision : file.revisions) {
    RemoteRepo remote({Kind::kDataset, file.id}, revision, session());
    std::string name = file.name;
    std::string commit = revision;
    if (name.empty()) {
      const bool last = revision == file.revisions.back();
      const auto listing = last ? remote.list() : remote.list_if_there();
      if (!listing) continue;
      const auto found = std::find_if(listing->names.begin(), listing->names.end(), file.wanted);
      if (found == listing->names.end()) continue;
      name = *found;
      commit = listing->commit;
    }
    const std::vector<RemoteFile> described = remote.describe(commit, {name});
    remote.fetch(described);
    remote.finish(described.front().commit);
    return remote.cache().snapshot(described.front().commit) / name;
  }
  fail(ErrorKind::kInput,
       "hub: data set '{}' holds no file of the kind that is wanted; get it by other means and "
       "give --data-dir",
       file.id);
}

}  // namespace sgpt_mi::hub

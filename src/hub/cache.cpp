#include "cache.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/hub/hub.h"
#include "sgpt_mi/io/file_lock.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

/// What a ref names, without blanks behind it.
std::string read_ref(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string commit{std::istreambuf_iterator<char>(stream), {}};
  commit.erase(commit.find_last_not_of(" \t\r\n") + 1);
  return commit;
}

/// The commit that a ref names. Throws Error(kInput) when it is none.
std::string commit_of(const fs::path& path) {
  std::string commit = read_ref(path);
  if (!is_plain_name(commit)) {
    fail(ErrorKind::kInput,
         "hub: {} names revision {}, which is no commit; remove the file and fetch it again",
         path.string(), shown(commit));
  }
  return commit;
}

}  // namespace

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) io::fail_output(folder, error.value());
}

RepoCache::RepoCache(const Repo& repo)
    : folder_(cache_folder() / repo.folder()), locks_(cache_folder() / ".locks" / repo.folder()) {}

fs::path RepoCache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

fs::path RepoCache::blob(const std::string& etag) const { return folder_ / "blobs" / etag; }

fs::path RepoCache::incomplete(const std::string& etag) const {
  return folder_ / "blobs" / (etag + ".incomplete");
}

fs::path RepoCache::lock(const std::string& etag) const { return locks_ / (etag + ".lock"); }

std::optional<fs::path> RepoCache::find_snapshot(const std::string& revision) const {
  std::error_code not_there;
  const fs::path reference = folder_ / "refs" / revision;
  fs::path found;
  if (fs::is_regular_file(reference, not_there)) {
    found = snapshot(commit_of(reference));
  } else if (is_plain_name(revision)) {
    found = snapshot(revision);
  }
  if (found.empty() || !fs::is_directory(found, not_there)) return std::nullopt;
  return found;
}

std::vector<fs::path> RepoCache::snapshots() const {
  std::vector<fs::path> found;
  std::error_code not_there;
  bool any_ref = false;
  fs::recursive_directory_iterator entry(folder_ / "refs", not_there);
  for (; !not_there && entry != fs::end(entry); entry.increment(not_there)) {
    // Names with a dot are the temporary files of a program that was killed.
    if (!entry->is_regular_file() || entry->path().filename().string().starts_with('.')) continue;
    const bool is_main = entry->path() == folder_ / "refs" / "main";
    const std::string commit = is_main ? commit_of(entry->path()) : read_ref(entry->path());
    if (!is_plain_name(commit)) continue;
    any_ref = true;
    const fs::path there = snapshot(commit);
    std::error_code ignored;
    if (!fs::is_directory(there, ignored)) continue;
    found.insert(is_main ? found.begin() : found.end(), there);
  }
  if (any_ref) {
    if (found.size() > 1) std::sort(found.begin() + 1, found.end());
    return found;
  }
  for (const auto& each : fs::directory_iterator(folder_ / "snapshots", not_there)) {
    found.push_back(each.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

void RepoCache::link(const std::string& commit, const std::string& name,
                     const std::string& etag) const {
  const fs::path link = snapshot(commit) / name;
  make_folder(link.parent_path());
  const fs::path target = blob(etag).lexically_relative(link.parent_path());
  std::error_code error;
  if (fs::read_symlink(link, error) == target && !error) return;
  const fs::path temporary =
      link.parent_path() / fmt::format(".{}.{}.link", link.filename().string(), ::getpid());
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (error) io::fail_output(link, error.value());
  fs::rename(temporary, link, error);
  if (error) io::fail_output(link, error.value());
}

void RepoCache::set_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit) return;
  const fs::path reference = folder_ / "refs" / revision;
  make_folder(reference.parent_path());
  io::write_file_atomic(reference, commit);
}

std::optional<io::FileDescriptor> RepoCache::try_lock(const std::string& etag) const {
  make_folder(locks_);
  // Some releases of huggingface_hub's lock remove the file. Where there are no locks, the hash
  // alone finds what two have mixed up.
  return io::try_lock_file(lock(etag));
}

}  // namespace sgpt_mi::hub

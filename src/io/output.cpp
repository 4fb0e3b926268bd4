#include "sgpt_mi/io/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <regex>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {
namespace {

namespace fs = std::filesystem;

/// A hidden neighbour of `path` that no other process uses: ".NAME.PID.SUFFIX".
fs::path neighbour(const fs::path& path, const char* suffix) {
  return path.parent_path() /
         fmt::format(".{}.{}.{}", path.filename().string(), ::getpid(), suffix);
}

/// Whether a name is of a neighbour() that a killed process left.
bool is_neighbour(const std::string& name) {
  static const std::regex form(R"(\..+\.\d+\.tmp)");
  return std::regex_match(name, form);
}

void rename_or_fail(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail_output(to, error.value());
}

/// Removes a file or folder; what cannot be removed stays.
void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

/// The folder that a path's entry is in.
fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Syncs every file and folder below and including `folder`.
void sync_tree(const fs::path& folder) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) sync_path(entry->path());
  if (error) fail_output(folder, error.value());
  sync_path(folder);
}

/// Removes a half-written file; nothing is left to remove once it was renamed to its place.
struct TemporaryFile {
  fs::path path;
  ~TemporaryFile() { remove_quietly(path); }
};

/// Gives two folders each other's name; where the file system cannot do that at once, nothing has
/// the second name for a moment.
void exchange(const fs::path& staging, const fs::path& target) {
  if (::renameat2(AT_FDCWD, staging.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) fail_output(target, errno);
  fs::path aside = staging;
  aside += ".replaced";
  rename_or_fail(target, aside);
  std::error_code error;
  fs::rename(staging, target, error);
  if (error) {
    rename_or_fail(aside, target);
    fail_output(target, error.value());
  }
  rename_or_fail(aside, staging);
}

/// Moves what is foreign in a folder that was replaced to the one in its place.
void keep_foreign(const fs::path& replaced, const fs::path& target, const OwnEntry& is_own) {
  std::error_code error;
  std::vector<fs::path> foreign;
  for (const fs::directory_entry& entry : fs::directory_iterator(replaced, error)) {
    const fs::path name = entry.path().filename();
    const bool there = fs::exists(fs::symlink_status(target / name, error));
    const bool own = is_own(name.string()) || is_neighbour(name.string());
    if (!own && !there) foreign.push_back(name);
  }
  for (const fs::path& name : foreign) rename_or_fail(replaced / name, target / name);
}

/// Where a target lies until it is complete; what an earlier process left there is removed, but for
/// what it had still to keep of a folder that it had replaced.
fs::path clean_staging(const PartialFolder& folder, const std::string& marker,
                       const OwnEntry& is_own) {
  fs::path staging = folder.path() / "output";
  std::error_code error;
  if (fs::exists(staging / marker, error) && fs::is_directory(folder.target(), error)) {
    keep_foreign(staging, folder.target(), is_own);
  }
  fs::remove_all(staging, error);
  if (!error) fs::create_directory(staging, error);
  if (error) fail_output(staging, error.value());
  return staging;
}

/// A folder that may be replaced: it is empty or has the marker, or nothing is there.
void require_ours(const fs::path& target, const std::string& marker) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) {
    if (!fs::is_symlink(fs::symlink_status(target, error))) return;
    fail(ErrorKind::kInput, "io: {} is a link to nothing; choose another name", target.string());
  }
  if (fs::equivalent(target, fs::current_path(error), error)) {
    fail(ErrorKind::kUsage,
         "io: {} is the folder that this program was started in, and a save would take its place; "
         "name a folder to be made",
         target.string());
  }
  if (!fs::is_directory(status)) {
    fail(ErrorKind::kInput, "io: {} is a file; a folder to write was expected: choose another name",
         target.string());
  }
  if (fs::is_empty(target, error) || fs::exists(target / marker, error)) return;
  fail(ErrorKind::kUsage,
       "io: {} is not empty and has no {}, so it was not written by this program and is not "
       "replaced; choose another folder",
       target.string(), marker);
}

/// The file that a link names, also where it is still to be made; another path stays.
fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;  // the system's own limit
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    path = folder_of(path) / fs::read_symlink(path, error);
  }
  return path;
}

/// Writes to what is no file: a pipe, a terminal, /dev/null.
void write_device(const fs::path& path, std::span<const std::byte> bytes) {
  const FileDescriptor device(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (device.get() < 0) fail_output(path, errno);
  while (!bytes.empty()) {
    const ssize_t count = ::write(device.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_output(path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

void write_file_atomic(const fs::path& named, std::string_view bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(named, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return write_device(named, std::as_bytes(std::span(bytes)));
  }
  const fs::path path = behind_links(named);
  const TemporaryFile temporary{neighbour(path, "tmp")};
  {
    const FileDescriptor file = create_output(temporary.path);
    write_at(file, 0, std::as_bytes(std::span(bytes)), path);
    sync_file(file, path);
  }
  rename_or_fail(temporary.path, path);
  sync_path(folder_of(path));
}

StagedFile::StagedFile(const fs::path& target) : StagedFile(PartialFolder(target), target) {}

StagedFile::StagedFile(PartialFolder folder, fs::path target)
    : folder_(std::move(folder)),
      target_(std::move(target)),
      staging_(folder_.path() / ("output." + target_.filename().string())),
      file_(create_output(staging_)) {}

StagedFile::~StagedFile() { remove_quietly(staging_); }

void StagedFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  write_at(file_, offset, bytes, target_);
}

void StagedFile::commit() {
  sync_file(file_, target_);
  rename_or_fail(staging_, target_);
  sync_path(folder_of(target_));
}

StagedFolder::StagedFolder(const fs::path& target, const std::string& marker, OwnEntry is_own)
    : folder_(target), is_own_(std::move(is_own)) {
  require_ours(folder_.target(), marker);
  staging_ = clean_staging(folder_, marker, is_own_);
}

StagedFolder::~StagedFolder() {
  if (!committed_) remove_quietly(staging_);
}

void StagedFolder::commit() {
  ensure(!committed_, "io: a folder was committed twice");
  sync_tree(staging_);
  const fs::path& target = folder_.target();
  std::error_code error;
  if (fs::exists(target, error)) {
    exchange(staging_, target);
  } else {
    rename_or_fail(staging_, target);
  }
  committed_ = true;
  sync_path(target.parent_path());
  std::error_code not_there;
  if (!fs::exists(staging_, not_there)) return;
  keep_foreign(staging_, target, is_own_);  // of what was replaced
  remove_quietly(staging_);
}

}  // namespace sgpt_mi::io

#include "sgpt_mi/io/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {
namespace {

namespace fs = std::filesystem;

/// A hidden neighbour of `path` that no other process uses: ".NAME.PID.SUFFIX".
fs::path neighbour(const fs::path& path, const char* suffix) {
  return path.parent_path() /
         fmt::format(".{}.{}.{}", path.filename().string(), ::getpid(), suffix);
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

/// Where a folder that is replaced lies for a moment.
fs::path aside_of(fs::path staging) { return staging += ".replaced"; }

/// Gives two folders each other's name; where the file system cannot do that at once, nothing has
/// the second name for a moment.
void exchange(const fs::path& staging, const fs::path& target) {
  if (::renameat2(AT_FDCWD, staging.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) fail_output(target, errno);
  const fs::path aside = aside_of(staging);
  rename_or_fail(target, aside);
  std::error_code error;
  fs::rename(staging, target, error);
  if (error) {
    rename_or_fail(aside, target);
    fail_output(target, error.value());
  }
  remove_quietly(aside);
}

/// Where a target lies until it is complete; what an earlier process left there is removed. An old
/// target that it had moved aside goes back where nothing came into its place.
fs::path clean_staging(const PartialFolder& folder) {
  fs::path staging = folder.path() / "output";
  std::error_code error;
  const fs::path aside = aside_of(staging);
  if (fs::exists(aside, error) && !fs::exists(folder.target(), error)) {
    rename_or_fail(aside, folder.target());
  }
  fs::remove_all(aside, error);
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

void write_whole(int descriptor, const fs::path& path, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_output(path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

/// The standard output or error that a path names; nothing for other files.
std::optional<int> standard_stream(const fs::path& path) {
  struct stat named {};
  if (::stat(path.c_str(), &named) != 0) return std::nullopt;
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat open {};
    const bool known = ::fstat(descriptor, &open) == 0;
    if (known && open.st_dev == named.st_dev && open.st_ino == named.st_ino) return descriptor;
  }
  return std::nullopt;
}

}  // namespace

bool is_written_directly(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return standard_stream(path).has_value() ||
         (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status));
}

fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;  // the system's own limit
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    path = folder_of(path) / fs::read_symlink(path, error);
  }
  return path;
}

void write_file_atomic(const fs::path& named, std::string_view bytes) {
  const auto content = std::as_bytes(std::span(bytes));
  if (const auto stream = standard_stream(named)) return write_whole(*stream, named, content);
  if (is_written_directly(named)) {
    const FileDescriptor device(::open(named.c_str(), O_WRONLY | O_CLOEXEC));
    if (device.get() < 0) fail_output(named, errno);
    return write_whole(device.get(), named, content);
  }
  const fs::path path = behind_links(named);
  const TemporaryFile temporary{neighbour(path, "tmp")};
  {
    const FileDescriptor file = create_output(temporary.path);
    write_at(file, 0, content, path);
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

StagedFolder::StagedFolder(const fs::path& target, const std::string& marker) : folder_(target) {
  require_ours(folder_.target(), marker);
  staging_ = clean_staging(folder_);
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
  remove_quietly(staging_);  // what was replaced
}

}  // namespace sgpt_mi::io

#include "sgpt_mi/io/output.h"

#include <unistd.h>

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

/// An absolute path without links, "." or a trailing slash.
fs::path plain_path(const fs::path& path) {
  std::error_code error;
  const fs::path plain = fs::weakly_canonical(path, error);
  if (error) fail_output(path, error.value());
  const fs::path absolute = fs::absolute(plain, error);
  if (error) fail_output(path, error.value());
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

}  // namespace

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  const TemporaryFile temporary{neighbour(path, "tmp")};
  {
    const FileDescriptor file = create_output(temporary.path);
    write_at(file, 0, std::as_bytes(std::span(bytes)), path);
    sync_file(file, path);
  }
  rename_or_fail(temporary.path, path);
  sync_path(folder_of(path));
}

StagedFile::StagedFile(const fs::path& target)
    : target_(target), staging_(neighbour(target, "partial")), file_(create_output(staging_)) {}

StagedFile::~StagedFile() { remove_quietly(staging_); }

void StagedFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  write_at(file_, offset, bytes, target_);
}

void StagedFile::commit() {
  sync_file(file_, target_);
  rename_or_fail(staging_, target_);
  sync_path(folder_of(target_));
}

StagedFolder::StagedFolder(const fs::path& target, std::string marker)
    : target_(plain_path(target)),
      staging_(neighbour(target_, "partial")),
      marker_(std::move(marker)) {
  std::error_code error;
  const fs::file_status status = fs::status(target_, error);
  if (fs::exists(status) && !fs::is_directory(status)) {
    fail(ErrorKind::kInput, "io: {} is a file; a folder to write was expected: choose another name",
         target_.string());
  }
  const bool ours = !fs::is_directory(status) || fs::is_empty(target_, error) ||
                    fs::exists(target_ / marker_, error);
  if (!ours) {
    fail(ErrorKind::kUsage,
         "io: {} is not empty and has no {}, so it was not written by this program and is not "
         "replaced; choose another folder",
         target_.string(), marker_);
  }
  fs::create_directories(target_.parent_path(), error);
  if (error) fail_output(target_, error.value());
  remove_quietly(staging_);  // left by an earlier process of the same number
  fs::create_directory(staging_, error);
  if (error) fail_output(target_, error.value());
}

StagedFolder::~StagedFolder() {
  if (!committed_) remove_quietly(staging_);
}

void StagedFolder::commit() {
  ensure(!committed_, "io: a folder was committed twice");
  sync_tree(staging_);
  const fs::path aside = neighbour(target_, "replaced");
  std::error_code error;
  const bool replaces = fs::exists(target_, error);
  if (replaces) rename_or_fail(target_, aside);
  fs::rename(staging_, target_, error);
  if (error) {
    if (replaces) rename_or_fail(aside, target_);
    fail_output(target_, error.value());
  }
  committed_ = true;
  sync_path(target_.parent_path());
  if (replaces) remove_quietly(aside);
}

}  // namespace sgpt_mi::io

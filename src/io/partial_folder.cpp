#include "sgpt_mi/io/partial_folder.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/file_lock.h"

namespace sgpt_mi::io {
namespace {

namespace fs = std::filesystem;

/// Another process may remove the folder or the lock between two of our calls.
constexpr int kTries = 20;

/// An absolute path without "." or a trailing slash; a target that is a folder without links.
fs::path plain_target(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) fail_output(path, error.value());
  const fs::path named = absolute.has_filename() ? absolute : absolute.parent_path();
  std::error_code not_there;
  const bool folder = fs::is_directory(named, not_there);
  fs::path plain = folder ? fs::canonical(named, error)
                          : fs::weakly_canonical(named.parent_path(), error) / named.filename();
  if (error) fail_output(path, error.value());
  return plain;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string holder_of(const fs::path& lock) {
  std::ifstream file(lock, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return text.empty() ? "another process" : text;
}

}  // namespace

class PartialFolder::Held {
 public:
  explicit Held(fs::path target) : Held(std::move(target), kLockFile) {
    // The folder is held by now: where this fails, the destructor removes it again.
    const std::string owner = fmt::format("process {} on {}", ::getpid(), host_name());
    if (::ftruncate(lock_.get(), 0) != 0) fail_output(path_ / kLockFile, errno);
    write_at(lock_, 0, std::as_bytes(std::span(owner)), path_ / kLockFile);
  }
  ~Held() {
    std::error_code ignored;
    fs::remove(path_ / kLockFile, ignored);
    fs::remove(path_, ignored);  // fails where something is left
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  [[nodiscard]] const fs::path& target() const { return target_; }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  Held(fs::path target, const fs::path& lock)
      : target_(std::move(target)), path_(path_for(target_)), lock_(lock_folder(lock)) {}
  [[nodiscard]] FileDescriptor lock_folder(const fs::path& name) const;

  fs::path target_;
  fs::path path_;
  FileDescriptor lock_;
};

FileDescriptor PartialFolder::Held::lock_folder(const fs::path& name) const {
  for (int tried = 0; tried < kTries; ++tried) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) fail_output(path_, error.value());
    if (auto lock = try_lock_file(path_ / name)) return std::move(*lock);
    if (fs::exists(path_ / name, error)) break;  // held by another process
  }
  fail(ErrorKind::kInput,
       "io: {} is being written by {}, which works in {}; wait for it, or choose another place",
       target_.string(), holder_of(path_ / name), path_.string());
}

PartialFolder::PartialFolder(const fs::path& target) {
  static std::mutex mutex;
  static std::map<fs::path, std::weak_ptr<const Held>> held;
  const std::lock_guard guard(mutex);
  const fs::path plain = plain_target(target);
  held_ = held[plain].lock();
  if (held_) return;
  held_ = std::make_shared<const Held>(plain);
  held[plain] = held_;
}

const fs::path& PartialFolder::target() const { return held_->target(); }
const fs::path& PartialFolder::path() const { return held_->path(); }

fs::path PartialFolder::path_for(const fs::path& target) {
  fs::path path = plain_target(target);
  path += ".partial";
  return path;
}

}  // namespace sgpt_mi::io

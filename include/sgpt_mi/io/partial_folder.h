#pragma once

#include <filesystem>
#include <memory>

namespace sgpt_mi::io {

/// The folder TARGET.partial beside a target, in which everything lies that is not finished. It has
/// one name, so that a later process finds what an earlier one left there, and belongs to one
/// process at a time; all objects of a process for one target share it.
///
/// With the last of them the lock goes, and the folder when nothing else is left in it.
class PartialFolder {
 public:
  /// Makes the folder, or takes over the one that is there.
  /// Throws Error(kInput) naming the process and the host that work in it, or the path when it
  /// cannot be made.
  explicit PartialFolder(const std::filesystem::path& target);

  /// Absolute; a link to a folder is followed.
  [[nodiscard]] const std::filesystem::path& target() const;
  [[nodiscard]] const std::filesystem::path& path() const;

  /// Its file that is locked, with the name of the process in it.
  static constexpr const char* kLockFile = "lock";

  /// Where the folder of a target would be.
  [[nodiscard]] static std::filesystem::path path_for(const std::filesystem::path& target);

 private:
  class Held;
  std::shared_ptr<const Held> held_;
};

}  // namespace sgpt_mi::io

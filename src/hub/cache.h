#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "names.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::hub {

/// One repository in the cache, in the layout of huggingface_hub:
///
///     models--ORG--NAME/refs/main                     the commit, without a newline
///     models--ORG--NAME/snapshots/COMMIT/config.json  -> ../../blobs/ETAG
///     models--ORG--NAME/blobs/ETAG                    and ETAG.incomplete while it is fetched
///     .locks/models--ORG--NAME/ETAG.lock              flock(2), as huggingface_hub takes it
class RepoCache {
 public:
  explicit RepoCache(const Repo& repo);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path snapshot(const std::string& commit) const;
  [[nodiscard]] std::filesystem::path blob(const std::string& etag) const;
  [[nodiscard]] std::filesystem::path incomplete(const std::string& etag) const;
  [[nodiscard]] std::filesystem::path lock(const std::string& etag) const;

  /// The snapshot folder of a revision, when it is there: through refs/REVISION, or as a commit.
  /// Throws Error(kInput) when a ref names what cannot be a commit.
  [[nodiscard]] std::optional<std::filesystem::path> find_snapshot(
      const std::string& revision) const;

  /// Snapshots that refs name, main first; all, in name order, when there are no refs. Files in
  /// refs/ that name no commit are passed over. Throws Error(kInput) when main is one of them.
  [[nodiscard]] std::vector<std::filesystem::path> snapshots() const;

  /// Makes snapshots/COMMIT/NAME a link to the blob.
  void link(const std::string& commit, const std::string& name, const std::string& etag) const;

  /// Makes refs/REVISION name the commit; nothing for a revision that is a commit itself.
  void set_ref(const std::string& revision, const std::string& commit) const;

  /// The lock of a blob; nothing while another process or download holds it.
  [[nodiscard]] std::optional<io::FileDescriptor> try_lock(const std::string& etag) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path locks_;
};

/// Creates a folder and those above it. Throws Error(kInput) naming it.
void make_folder(const std::filesystem::path& folder);

}  // namespace sgpt_mi::hub

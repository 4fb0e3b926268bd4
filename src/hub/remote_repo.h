#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blob_exchange.h"
#include "cache.h"
#include "exchange.h"
#include "names.h"
#include "refusals.h"
#include "sgpt_mi/hub/hub.h"

namespace sgpt_mi::hub {

/// The files of a repository at one commit.
struct Listing {
  std::string commit;
  std::vector<std::string> names;  ///< paths below the snapshot; others are left out
};

/// One repository on the Hub at one revision, and its way into the cache.
class RemoteRepo {
 public:
  /// \param session  must outlive this.
  RemoteRepo(Repo repo, std::string revision, const Session& session);

  /// GET /api/models/ID/revision/REVISION. `patience`: whether failures are tried again.
  /// Throws Error(kInput) that explains a refusal, and for an answer that is no listing.
  [[nodiscard]] Listing list(bool patience = true) const;

  /// The same; nothing when the Hub answers 404.
  [[nodiscard]] std::optional<Listing> list_if_there() const;

  /// Size, etag and commit of files: HEAD /ID/resolve/REVISION/NAME of each.
  [[nodiscard]] std::vector<RemoteFile> describe(const std::string& revision,
                                                 const std::vector<std::string>& names) const;

  /// Downloads what is not in the cache and links all into the snapshot of their commit. May be
  /// called several times; progress counts on. Checks the free space first.
  void fetch(const std::vector<RemoteFile>& files);

  /// Makes the revision's ref name the commit and tells that everything is there.
  void finish(const std::string& commit);

  [[nodiscard]] const RepoCache& cache() const { return cache_; }

 private:
  [[nodiscard]] Conduct conduct() const;
  [[nodiscard]] std::string resolve_address(const std::string& revision,
                                            const std::string& name) const;
  [[nodiscard]] std::unique_ptr<TextExchange> ask_for_list(bool patience) const;
  [[nodiscard]] Listing read_listing(const std::string& text) const;
  [[nodiscard]] RemoteFile read_description(const std::string& name, const Answer& answer) const;
  void check_space() const;
  void tell(std::int64_t received, bool finished);

  Repo repo_;
  std::string revision_;
  const Session& session_;
  RepoCache cache_;
  Conduct conduct_;
  std::map<std::string, std::unique_ptr<BlobExchange>> blobs_;  ///< by etag
  std::int64_t fetched_ = 0;
};

}  // namespace sgpt_mi::hub

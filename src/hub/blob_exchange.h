#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "blob_digest.h"
#include "cache.h"
#include "exchange.h"
#include "refusals.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::hub {

/// A file of a repository as the Hub describes it.
struct RemoteFile {
  std::string name;
  std::string commit;
  std::string etag;        ///< the blob's name in the cache
  std::int64_t size = -1;  ///< bytes; negative: not announced
};

/// The download of one blob into the cache.
///
/// It goes on behind the bytes of ETAG.incomplete, if there are any, and gets its name once size
/// and hash are right. Bytes with a wrong hash are fetched once more from the beginning.
class BlobExchange : public Exchange {
 public:
  BlobExchange(std::string address, const RepoCache& cache, RemoteFile file, Question question,
               const Conduct& conduct);

  /// Bytes that lie in the cache already, whole or in part.
  [[nodiscard]] std::int64_t kept() const;
  [[nodiscard]] const RemoteFile& file() const { return file_; }
  /// Whether this download, or another one, is at work on the blob.
  [[nodiscard]] bool is_mine() const { return lock_.has_value(); }
  [[nodiscard]] bool is_anothers() const { return is_anothers_; }

  Ready ready() override;
  [[nodiscard]] std::int64_t offset() const override { return have_; }
  void begin() override;
  void receive(std::span<const std::byte> bytes) override;
  End end() override;
  End refused() override;

 private:
  void wait();
  void open();
  void start_over();
  [[nodiscard]] std::string label() const;

  const RepoCache& cache_;
  RemoteFile file_;
  Question question_;
  const Conduct& conduct_;
  std::optional<io::FileDescriptor> lock_;
  io::FileDescriptor output_;
  std::int64_t have_ = 0;
  BlobDigest digest_;
  bool started_over_ = false;
  bool is_anothers_ = false;
  bool told_ = false;  ///< that another download is waited for
};

}  // namespace sgpt_mi::hub

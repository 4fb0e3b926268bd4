#include "blob_exchange.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashPiece = std::size_t{64} << 20;  // between looks at Ctrl-C

std::int64_t size_of(const fs::path& path) {
  std::error_code not_there;
  const auto size = fs::file_size(path, not_there);
  return not_there ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

BlobExchange::BlobExchange(std::string address, const RepoCache& cache, RemoteFile file,
                           Question question, const Conduct& conduct)
    : Exchange(std::move(address)),
      cache_(cache),
      file_(std::move(file)),
      question_(std::move(question)),
      conduct_(conduct),
      digest_(file_.etag, file_.size) {}

std::string BlobExchange::label() const { return question_.repo.id + ": " + file_.name; }

std::int64_t BlobExchange::kept() const {
  std::error_code not_there;
  const fs::path whole = cache_.blob(file_.etag);
  return fs::exists(whole, not_there) ? size_of(whole) : size_of(cache_.incomplete(file_.etag));
}

Exchange::Ready BlobExchange::ready() {
  std::error_code not_there;
  if (lock_) return Ready::kYes;
  is_anothers_ = false;
  if (fs::exists(cache_.blob(file_.etag), not_there)) return Ready::kDone;
  lock_ = cache_.try_lock(file_.etag);
  if (!lock_) {
    wait();
    return Ready::kNotYet;
  }
  if (fs::exists(cache_.blob(file_.etag), not_there)) {  // whoever had the lock has fetched it
    lock_.reset();
    return Ready::kDone;
  }
  open();
  const bool all_there = have_ > 0 && have_ == file_.size;
  return all_there && end() == End::kGood ? Ready::kDone : Ready::kYes;
}

void BlobExchange::wait() {
  is_anothers_ = true;
  if (std::exchange(told_, true) || !conduct_.warn) return;
  conduct_.warn(fmt::format("hub: waiting for another download of {}, which holds the lock {}",
                            label(), cache_.lock(file_.etag).string()));
}

/// Opens ETAG.incomplete and hashes what it holds.
void BlobExchange::open() {
  const fs::path path = cache_.incomplete(file_.etag);
  make_folder(path.parent_path());
  output_ =
      io::FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (output_.get() < 0) io::fail_output(path, errno);
  have_ = size_of(path);
  if (file_.size >= 0 && have_ > file_.size) return start_over();
  if (have_ == 0) return;
  const io::MappedFile mapped(path);
  const std::span<const std::byte> bytes = mapped.bytes();
  for (std::size_t at = 0; at < bytes.size(); at += kHashPiece) {
    check_interrupt();
    digest_.update(bytes.subspan(at, std::min(kHashPiece, bytes.size() - at)));
  }
}

void BlobExchange::start_over() {
  have_ = 0;
  digest_ = BlobDigest(file_.etag, file_.size);
  if (::ftruncate(output_.get(), 0) != 0) {
    io::fail_output(cache_.incomplete(file_.etag), errno);
  }
}

void BlobExchange::begin() {
  if (have_ == 0) return;
  if (answer.status == 200) return start_over();  // the server knows no ranges
  if (answer.header("content-range").starts_with(fmt::format("bytes {}-", have_))) return;
  start_over();
  fail(ErrorKind::kInput, "hub: {}: asked for the bytes from {} on, the Hub sends {}; try again",
       label(), have_, shown(answer.header("content-range")));
}

void BlobExchange::receive(std::span<const std::byte> bytes) {
  const auto count = static_cast<std::int64_t>(bytes.size());
  if (file_.size >= 0 && have_ + count > file_.size) {
    start_over();
    fail(ErrorKind::kInput, "hub: {} is longer than the {} bytes that were announced; try again",
         label(), file_.size);
  }
  io::write_at(output_, static_cast<std::uint64_t>(have_), bytes, cache_.incomplete(file_.etag));
  digest_.update(bytes);
  have_ += count;
}

Exchange::End BlobExchange::end() {
  if (file_.size >= 0 && have_ < file_.size) return End::kDropped;
  if (!digest_.matches()) {
    start_over();
    if (std::exchange(started_over_, true)) {
      fail(ErrorKind::kInput,
           "hub: {}: the hash of what arrives is not {}, twice; expected the file that the Hub "
           "names; the proxy or the mirror may change files: check HF_ENDPOINT",
           label(), file_.etag);
    }
    return End::kAgain;
  }
  io::sync_file(output_, cache_.incomplete(file_.etag));
  std::error_code error;
  fs::rename(cache_.incomplete(file_.etag), cache_.blob(file_.etag), error);
  if (error) io::fail_output(cache_.blob(file_.etag), error.value());
  output_ = io::FileDescriptor();
  lock_.reset();
  return End::kGood;
}

Exchange::End BlobExchange::refused() {
  if (answer.status == 416 && !std::exchange(started_over_, true)) {  // no such range
    start_over();
    return End::kAgain;
  }
  explain_refusal(question_, answer, conduct_);
}

}  // namespace sgpt_mi::hub

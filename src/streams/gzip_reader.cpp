#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/streams/byte_stream.h"

namespace sgpt_mi::streams {
namespace {

class GzipReader : public ByteStream {
 public:
  GzipReader(std::span<const std::byte> packed, std::string label)
      : packed_(packed), label_(std::move(label)) {
    constexpr int kGzipOnly = 16;  // zlib's flag: a gzip header and nothing else
    const int status = inflateInit2(&stream_, MAX_WBITS + kGzipOnly);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    ensure(status == Z_OK, "io: zlib did not start");
  }
  ~GzipReader() override { inflateEnd(&stream_); }
  [[nodiscard]] std::size_t read(std::span<char> out) override;

 private:
  /// Input bytes that zlib has taken.
  [[nodiscard]] std::size_t consumed() const {
    const auto* start = reinterpret_cast<const Bytef*>(packed_.data());
    return stream_.next_in == nullptr ? 0 : static_cast<std::size_t>(stream_.next_in - start);
  }
  void offer_input();
  [[nodiscard]] bool at_end() const;
  void check(int status) const;

  z_stream stream_{};
  std::span<const std::byte> packed_;
  std::string label_;
  bool at_member_start_ = true;
};

/// zlib counts input in 32 bits; longer data is offered in parts.
void GzipReader::offer_input() {
  const std::size_t left = packed_.size() - consumed();
  const auto* start = reinterpret_cast<const Bytef*>(packed_.data());
  stream_.next_in = const_cast<Bytef*>(start + consumed());  // zlib does not write through it
  stream_.avail_in =
      static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
}

/// Whether a member just ended and only padding follows.
bool GzipReader::at_end() const {
  if (!at_member_start_ || consumed() == 0) return false;
  const std::span<const std::byte> rest = packed_.subspan(consumed());
  return std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
}

void GzipReader::check(int status) const {
  if (status == Z_OK || status == Z_STREAM_END) return;
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  if (status == Z_BUF_ERROR && stream_.avail_in == 0) {
    fail(ErrorKind::kInput,
         "io: {}: the gzip data is cut: it ends after {} bytes in the middle of a member; get the "
         "file again",
         label_, packed_.size());
  }
  fail(ErrorKind::kInput, "io: {}: not gzip, or damaged, near byte {}: {}; get the file again",
       label_, consumed(), stream_.msg == nullptr ? "unpacking failed" : stream_.msg);
}

std::size_t GzipReader::read(std::span<char> out) {
  std::size_t written = 0;
  while (written < out.size() && !at_end()) {
    offer_input();
    const auto room = static_cast<uInt>(
        std::min<std::size_t>(out.size() - written, std::numeric_limits<uInt>::max()));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + written);
    stream_.avail_out = room;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    check(status);
    written += room - stream_.avail_out;
    at_member_start_ = status == Z_STREAM_END;
    if (at_member_start_) ensure(inflateReset(&stream_) == Z_OK, "io: zlib did not restart");
  }
  return written;
}

}  // namespace

std::unique_ptr<ByteStream> unpack_gzip(std::span<const std::byte> packed, std::string label) {
  return std::make_unique<GzipReader>(packed, std::move(label));
}

}  // namespace sgpt_mi::streams

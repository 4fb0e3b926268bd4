#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "readers.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::documents {

struct GzipReader::State {
  z_stream stream{};
  std::span<const std::byte> packed;
  std::string label;
  bool at_member_start = true;

  ~State() { inflateEnd(&stream); }

  /// Input bytes that zlib has taken.
  [[nodiscard]] std::size_t consumed() const {
    const auto* start = reinterpret_cast<const Bytef*>(packed.data());
    return stream.next_in == nullptr ? 0 : static_cast<std::size_t>(stream.next_in - start);
  }

  void offer_input();
  [[nodiscard]] bool at_end() const;
  void check(int status) const;
};

/// zlib counts input in 32 bits; longer data is offered in parts.
void GzipReader::State::offer_input() {
  const std::size_t left = packed.size() - consumed();
  const auto* start = reinterpret_cast<const Bytef*>(packed.data());
  stream.next_in = const_cast<Bytef*>(start + consumed());  // zlib does not write through it
  stream.avail_in =
      static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
}

/// Whether a member just ended and only padding follows.
bool GzipReader::State::at_end() const {
  if (!at_member_start || consumed() == 0) return false;
  const std::span<const std::byte> rest = packed.subspan(consumed());
  return std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
}

void GzipReader::State::check(int status) const {
  if (status == Z_OK || status == Z_STREAM_END) return;
  if (status == Z_BUF_ERROR && stream.avail_in == 0) {
    fail(ErrorKind::kInput,
         "io: {}: the gzip data is cut: it ends after {} bytes in the middle of a member; get the "
         "file again",
         label, packed.size());
  }
  fail(ErrorKind::kInput, "io: {}: not gzip, or damaged, near byte {}: {}; get the file again",
       label, consumed(), stream.msg == nullptr ? "unpacking failed" : stream.msg);
}

GzipReader::GzipReader(std::span<const std::byte> packed, std::string label)
    : state_(std::make_unique<State>()) {
  state_->packed = packed;
  state_->label = std::move(label);
  constexpr int kGzipOnly = 16;  // zlib's flag: a gzip header and nothing else
  ensure(inflateInit2(&state_->stream, MAX_WBITS + kGzipOnly) == Z_OK, "io: zlib did not start");
}

GzipReader::~GzipReader() = default;

std::size_t GzipReader::read(std::span<char> out) {
  z_stream& stream = state_->stream;
  std::size_t written = 0;
  while (written < out.size() && !state_->at_end()) {
    state_->offer_input();
    const auto room = static_cast<uInt>(
        std::min<std::size_t>(out.size() - written, std::numeric_limits<uInt>::max()));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + written);
    stream.avail_out = room;
    const int status = inflate(&stream, Z_NO_FLUSH);
    state_->check(status);
    written += room - stream.avail_out;
    state_->at_member_start = status == Z_STREAM_END;
    if (state_->at_member_start) ensure(inflateReset(&stream) == Z_OK, "io: zlib did not restart");
  }
  return written;
}

}  // namespace sgpt_mi::documents

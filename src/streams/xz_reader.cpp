#include <lzma.h>

#include <cstdint>
#include <new>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/streams/byte_stream.h"

namespace sgpt_mi::streams {
namespace {

std::string_view describe(lzma_ret status) {
  switch (status) {
    case LZMA_FORMAT_ERROR:
      return "not xz";
    case LZMA_OPTIONS_ERROR:
      return "made with options that liblzma does not know";
    case LZMA_MEMLIMIT_ERROR:
      return "unpacking takes too much memory";
    default:
      return "the data do not fit together";
  }
}

class XzReader : public ByteStream {
 public:
  XzReader(std::span<const std::byte> packed, std::string label, std::size_t most_memory)
      : packed_bytes_(packed.size()), label_(std::move(label)) {
    const lzma_ret status = lzma_auto_decoder(&stream_, most_memory, LZMA_CONCATENATED);
    if (status == LZMA_MEM_ERROR) throw std::bad_alloc();
    ensure(status == LZMA_OK, "io: liblzma did not start");
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream_.avail_in = packed.size();
  }
  ~XzReader() override { lzma_end(&stream_); }
  [[nodiscard]] std::size_t read(std::span<char> out) override;

 private:
  void check(lzma_ret status) const;

  lzma_stream stream_ = LZMA_STREAM_INIT;
  std::size_t packed_bytes_;
  std::string label_;
  bool ended_ = false;
};

void XzReader::check(lzma_ret status) const {
  if (status == LZMA_OK || status == LZMA_STREAM_END) return;
  if (status == LZMA_MEM_ERROR) throw std::bad_alloc();
  if (status == LZMA_BUF_ERROR) {
    fail(ErrorKind::kInput,
         "io: {}: the xz data is cut, or followed by bytes that are no stream: its {} bytes end in "
         "the middle of one; get the file again",
         label_, packed_bytes_);
  }
  fail(ErrorKind::kInput, "io: {}: the xz data is damaged near byte {}: {}; get the file again",
       label_, packed_bytes_ - stream_.avail_in, describe(status));
}

std::size_t XzReader::read(std::span<char> out) {
  stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream_.avail_out = out.size();
  while (stream_.avail_out > 0 && !ended_) {
    const lzma_ret status = lzma_code(&stream_, LZMA_FINISH);
    check(status);
    ended_ = status == LZMA_STREAM_END;
  }
  return out.size() - stream_.avail_out;
}

}  // namespace

std::unique_ptr<ByteStream> unpack_xz(std::span<const std::byte> packed, std::string label,
                                      std::size_t most_memory) {
  return std::make_unique<XzReader>(packed, std::move(label), most_memory);
}

}  // namespace sgpt_mi::streams

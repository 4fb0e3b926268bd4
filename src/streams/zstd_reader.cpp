#include <zstd.h>
#include <zstd_errors.h>

#include <new>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/streams/byte_stream.h"

namespace sgpt_mi::streams {
namespace {

class ZstdReader : public ByteStream {
 public:
  ZstdReader(std::span<const std::byte> packed, std::string label, int largest_window)
      : stream_(ZSTD_createDStream()),
        input_{packed.data(), packed.size(), 0},
        label_(std::move(label)) {
    if (stream_ == nullptr) throw std::bad_alloc();
    check(ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, largest_window));
  }
  [[nodiscard]] std::size_t read(std::span<char> out) override;

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  void check(std::size_t status) const;

  std::unique_ptr<ZSTD_DStream, Free> stream_;
  ZSTD_inBuffer input_;
  std::string label_;
  bool in_frame_ = true;  ///< a file without any frame is cut, too
};

void ZstdReader::check(std::size_t status) const {
  if (ZSTD_isError(status) == 0) return;
  if (ZSTD_getErrorCode(status) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  fail(ErrorKind::kInput, "io: {}: the zstd data is damaged near byte {}: {}; get the file again",
       label_, input_.pos, ZSTD_getErrorName(status));
}

std::size_t ZstdReader::read(std::span<char> out) {
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  while (output.pos < output.size && (in_frame_ || input_.pos < input_.size)) {
    const std::size_t taken = input_.pos;
    const std::size_t given = output.pos;
    const std::size_t status = ZSTD_decompressStream(stream_.get(), &output, &input_);
    check(status);
    in_frame_ = status != 0;
    if (in_frame_ && taken == input_.pos && given == output.pos) {
      fail(ErrorKind::kInput,
           "io: {}: the zstd data is cut: it ends after {} bytes in the middle of a frame; get the "
           "file again",
           label_, input_.size);
    }
  }
  return output.pos;
}

}  // namespace

std::unique_ptr<ByteStream> unpack_zstd(std::span<const std::byte> packed, std::string label,
                                        int largest_window) {
  return std::make_unique<ZstdReader>(packed, std::move(label), largest_window);
}

}  // namespace sgpt_mi::streams

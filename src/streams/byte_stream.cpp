#include "sgpt_mi/streams/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace sgpt_mi::streams {
namespace {

class PlainReader : public ByteStream {
 public:
  explicit PlainReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t read(std::span<char> out) override {
    const std::size_t count = std::min(out.size(), bytes_.size());
    if (count > 0) std::memcpy(out.data(), bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return count;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

std::unique_ptr<ByteStream> read_plain(std::span<const std::byte> bytes) {
  return std::make_unique<PlainReader>(bytes);
}

std::string read_all(ByteStream& stream, std::string text) {
  constexpr std::size_t kPieceBytes = 1 << 16;
  std::string piece(kPieceBytes, '\0');
  while (const std::size_t count = stream.read(piece)) text.append(piece, 0, count);
  return text;
}

}  // namespace sgpt_mi::streams

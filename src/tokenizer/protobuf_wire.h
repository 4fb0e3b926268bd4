#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::tokenizer {

/// Writes a Protocol Buffers message field by field (encoding: protobuf.dev/programming-guides/
/// encoding). Enough for sentencepiece's ModelProto.
class ProtobufWriter {
 public:
  void number(std::uint32_t field, std::uint64_t value);
  void real(std::uint32_t field, float value);
  void bytes(std::uint32_t field, std::string_view value);  ///< also strings and sub-messages

  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  void varint(std::uint64_t value);

  std::string message_;
};

/// One field of a message: `number` for varints, `bytes` for length-delimited ones.
struct ProtobufField {
  std::uint32_t field = 0;
  std::uint64_t number = 0;
  std::string_view bytes = {};
};

/// The fields of a message in order. Throws Error(kInput) when it is cut or malformed.
[[nodiscard]] std::vector<ProtobufField> protobuf_fields(std::string_view message);

}  // namespace sgpt_mi::tokenizer

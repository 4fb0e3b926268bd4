#include "protobuf_wire.h"

#include <bit>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::tokenizer {
namespace {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

[[noreturn]] void fail_malformed() {
  fail(ErrorKind::kInput, "text: the sentencepiece model is cut or malformed; download it again");
}

std::uint64_t take_varint(std::string_view& rest) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  fail_malformed();
}

std::string_view take_bytes(std::string_view& rest, std::uint64_t count) {
  if (count > rest.size()) fail_malformed();
  const std::string_view taken = rest.substr(0, static_cast<std::size_t>(count));
  rest.remove_prefix(taken.size());
  return taken;
}

}  // namespace

void ProtobufWriter::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) message_ += static_cast<char>((value & 0x7FU) | 0x80U);
  message_ += static_cast<char>(value);
}

void ProtobufWriter::number(std::uint32_t field, std::uint64_t value) {
  varint((std::uint64_t{field} << 3) | kVarint);
  varint(value);
}

void ProtobufWriter::real(std::uint32_t field, float value) {
  varint((std::uint64_t{field} << 3) | kFixed32);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8)
    message_ += static_cast<char>((bits >> shift) & 0xFFU);
}

void ProtobufWriter::bytes(std::uint32_t field, std::string_view value) {
  varint((std::uint64_t{field} << 3) | kLengthDelimited);
  varint(value.size());
  message_ += value;
}

std::vector<ProtobufField> protobuf_fields(std::string_view message) {
  std::vector<ProtobufField> fields;
  while (!message.empty()) {
    const std::uint64_t tag = take_varint(message);
    ProtobufField field{.field = static_cast<std::uint32_t>(tag >> 3)};
    switch (tag & 7U) {
      case kVarint:
        field.number = take_varint(message);
        break;
      case kFixed64:
        field.bytes = take_bytes(message, 8);
        break;
      case kLengthDelimited:
        field.bytes = take_bytes(message, take_varint(message));
        break;
      case kFixed32:
        field.bytes = take_bytes(message, 4);
        break;
      default:
        fail_malformed();
    }
    fields.push_back(field);
  }
  return fields;
}

}  // namespace sgpt_mi::tokenizer

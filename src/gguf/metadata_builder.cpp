#include "metadata_builder.h"

namespace sgpt_mi::gguf {

void append_text(std::string& bytes, std::string_view text) {
  append_number<std::uint64_t>(bytes, text.size());
  bytes += text;
}

void MetadataBuilder::begin(std::string_view key, GgufKind kind) {
  append_text(bytes_, key);
  append_number(bytes_, static_cast<std::uint32_t>(kind));
  ++entries_;
}

void MetadataBuilder::begin_array(std::string_view key, GgufKind element, std::size_t count) {
  begin(key, GgufKind::kArray);
  append_number(bytes_, static_cast<std::uint32_t>(element));
  append_number<std::uint64_t>(bytes_, count);
}

void MetadataBuilder::text(std::string_view key, std::string_view value) {
  begin(key, GgufKind::kString);
  append_text(bytes_, value);
}

void MetadataBuilder::short_whole(std::string_view key, std::uint16_t value) {
  begin(key, GgufKind::kU16);
  append_number(bytes_, value);
}

void MetadataBuilder::whole(std::string_view key, std::uint32_t value) {
  begin(key, GgufKind::kU32);
  append_number(bytes_, value);
}

void MetadataBuilder::signed_whole(std::string_view key, std::int32_t value) {
  begin(key, GgufKind::kI32);
  append_number(bytes_, value);
}

void MetadataBuilder::real(std::string_view key, float value) {
  begin(key, GgufKind::kF32);
  append_number(bytes_, value);
}

void MetadataBuilder::flag(std::string_view key, bool value) {
  begin(key, GgufKind::kBool);
  bytes_ += value ? '\1' : '\0';
}

void MetadataBuilder::texts(std::string_view key, const std::vector<std::string>& values) {
  begin_array(key, GgufKind::kString, values.size());
  for (const std::string& value : values) append_text(bytes_, value);
}

void MetadataBuilder::reals(std::string_view key, const std::vector<float>& values) {
  begin_array(key, GgufKind::kF32, values.size());
  for (const float value : values) append_number(bytes_, value);
}

void MetadataBuilder::wholes(std::string_view key, const std::vector<std::int32_t>& values) {
  begin_array(key, GgufKind::kI32, values.size());
  for (const std::int32_t value : values) append_number(bytes_, value);
}

void MetadataBuilder::copy(std::string_view key, const GgufValue& value) {
  const std::string_view bytes(reinterpret_cast<const char*>(value.bytes.data()),
                               value.bytes.size());
  if (value.kind == GgufKind::kString) return text(key, bytes);
  if (value.kind == GgufKind::kArray) {
    begin_array(key, value.element, static_cast<std::size_t>(value.count));
  } else {
    begin(key, value.kind);
  }
  bytes_ += bytes;
}

}  // namespace sgpt_mi::gguf

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"

namespace sgpt_mi::gguf {

/// Kinds of metadata values, numbered as in the file.
enum class GgufKind : std::uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

/// A metadata value, in place in the file.
struct GgufValue {
  GgufKind kind = GgufKind::kU8;
  GgufKind element = GgufKind::kU8;  ///< of an array
  std::uint64_t count = 0;           ///< of an array
  std::span<const std::byte> bytes;  ///< a string's text, a number, or all elements of an array
};

/// The key-value part of a GGUF file. A key that is absent gives nothing; a value of another kind
/// throws Error(kInput) naming file and key.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  GgufMetadata(std::string label, std::map<std::string, GgufValue> values)
      : label_(std::move(label)), values_(std::move(values)) {}

  [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
  [[nodiscard]] std::optional<std::int64_t> whole(const std::string& key) const;
  [[nodiscard]] std::optional<double> real(const std::string& key) const;
  [[nodiscard]] std::optional<bool> flag(const std::string& key) const;
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const;
  [[nodiscard]] std::vector<float> reals(const std::string& key) const;
  [[nodiscard]] std::vector<std::int32_t> wholes(const std::string& key) const;

  /// All entries by key.
  [[nodiscard]] const std::map<std::string, GgufValue>& values() const { return values_; }

  /// The file's name, for messages.
  [[nodiscard]] const std::string& label() const { return label_; }

 private:
  [[nodiscard]] const GgufValue* find(const std::string& key) const;
  [[nodiscard]] const GgufValue* find_array(const std::string& key, GgufKind element) const;
  [[noreturn]] void refuse_kind(const std::string& key, const char* expected) const;

  std::string label_;
  std::map<std::string, GgufValue> values_;
};

/// A tensor of a GGUF file under its own name, in place in the file.
struct GgufTensor {
  std::string name;
  const blocks::BlockType* type = nullptr;
  std::vector<std::int64_t> shape;   ///< row-major: the file's dimensions reversed
  std::span<const std::byte> bytes;  ///< packed data
};

struct GgufFile {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  ///< in file order
};

/// Reads the description part of a whole GGUF file, version 2 or 3, little-endian.
///
/// Format (ggml, docs/gguf.md): "GGUF", u32 version, u64 tensor count, u64 metadata count, the
/// metadata (string key, u32 kind, value), the tensors (string name, u32 axes, u64 sizes with the
/// innermost first, u32 type, u64 offset), padding to general.alignment (default 32), data.
/// Checked before anything is believed: counts and lengths against the bytes that are left, no
/// nested arrays, keys and names unique, whole blocks in a row, offsets aligned, tensors inside the
/// data and apart from each other. Memory is a small multiple of the description part.
/// Throws Error(kInput) naming the file (`label`) and the key or tensor.
[[nodiscard]] GgufFile parse_gguf(std::span<const std::byte> file, const std::string& label);

}  // namespace sgpt_mi::gguf

#include "gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/containers/checked_count.h"
#include "sgpt_mi/containers/tensor_names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/byte_cursor.h"

namespace sgpt_mi::gguf {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint32_t kMaxAxes = 4;  // ggml's limit

/// Bytes of a number of this kind; 0 for strings and arrays.
std::uint64_t fixed_bytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::kU8:
    case GgufKind::kI8:
    case GgufKind::kBool:
      return 1;
    case GgufKind::kU16:
    case GgufKind::kI16:
      return 2;
    case GgufKind::kU32:
    case GgufKind::kI32:
    case GgufKind::kF32:
      return 4;
    case GgufKind::kU64:
    case GgufKind::kI64:
    case GgufKind::kF64:
      return 8;
    case GgufKind::kString:
    case GgufKind::kArray:
      return 0;
  }
  return 0;
}

/// A text with its length in front.
std::string read_text(io::ByteCursor& cursor, std::string_view what) {
  return std::string(cursor.take_text(cursor.number<std::uint64_t>(what), what));
}

struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t values = 0;
};

Counts read_start(io::ByteCursor& cursor, const std::string& label) {
  const Bytes magic = cursor.take(4, "the magic");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
    fail(ErrorKind::kInput, "io: {} does not begin with \"GGUF\": not a GGUF file", label);
  }
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = (version & 0xffffU) == 0;
    fail(ErrorKind::kInput, "io: {} is GGUF version {}{}; version 2 or 3, little-endian, expected",
         label, swapped ? __builtin_bswap32(version) : version, swapped ? ", big-endian" : "");
  }
  Counts counts;
  counts.tensors = cursor.number<std::uint64_t>("the tensor count");
  counts.values = cursor.number<std::uint64_t>("the metadata count");
  // The shortest tensor entry has 24 bytes, the shortest metadata entry 13.
  if (counts.tensors > cursor.left() / 24 || counts.values > cursor.left() / 13) {
    fail(ErrorKind::kInput,
         "io: {} announces {} tensors and {} metadata values, more than its {} bytes can hold: "
         "the file is cut or damaged, get it again",
         label, counts.tensors, counts.values, cursor.left());
  }
  return counts;
}

GgufKind read_kind(io::ByteCursor& cursor, const std::string& key, const std::string& label) {
  const auto kind = cursor.number<std::uint32_t>("a metadata kind");
  if (kind > static_cast<std::uint32_t>(GgufKind::kF64)) {
    fail(ErrorKind::kInput, "io: {}: metadata '{}' has the unknown kind {}", label, key, kind);
  }
  return static_cast<GgufKind>(kind);
}

GgufValue read_value(io::ByteCursor& cursor, Bytes file, const std::string& key,
                     const std::string& label) {
  GgufValue value;
  value.kind = read_kind(cursor, key, label);
  if (value.kind == GgufKind::kString) {
    value.bytes = cursor.take(cursor.number<std::uint64_t>(key), key);
    return value;
  }
  if (value.kind != GgufKind::kArray) {
    value.bytes = cursor.take(fixed_bytes(value.kind), key);
    return value;
  }
  value.element = read_kind(cursor, key, label);
  value.count = cursor.number<std::uint64_t>(key);
  if (value.element == GgufKind::kArray) {
    fail(ErrorKind::kInput, "io: {}: metadata '{}' is an array of arrays, which is not read", label,
         key);
  }
  const std::size_t start = cursor.at();
  // Each element takes at least one byte, a string eight.
  if (value.count > cursor.left()) (void)cursor.take(value.count, key);
  if (value.element == GgufKind::kString) {
    for (std::uint64_t i = 0; i < value.count; ++i) {
      (void)cursor.take(cursor.number<std::uint64_t>(key), key);
    }
  } else {
    (void)cursor.take(value.count * fixed_bytes(value.element), key);
  }
  value.bytes = file.subspan(start, cursor.at() - start);
  return value;
}

/// A tensor's entry before its data is found.
struct Entry {
  GgufTensor tensor;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Packed bytes of a tensor, after its shape has been checked.
std::uint64_t packed_bytes(const GgufTensor& tensor, const std::string& label) {
  const std::optional<std::int64_t> count = containers::checked_count(tensor.shape);
  std::int64_t bytes = 0;
  if (!count || *count == 0 ||
      __builtin_mul_overflow(*count / tensor.type->block_elements, tensor.type->block_bytes,
                             &bytes)) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has an impossible shape", label, tensor.name);
  }
  const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (row % tensor.type->block_elements != 0) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has rows of {}, not a multiple of the {} of {}",
         label, tensor.name, row, tensor.type->block_elements, tensor.type->name);
  }
  return static_cast<std::uint64_t>(bytes);
}

Entry read_entry(io::ByteCursor& cursor, const std::string& label) {
  Entry entry;
  GgufTensor& tensor = entry.tensor;
  tensor.name = containers::checked_name(read_text(cursor, "a tensor's name"), label);
  const auto axes = cursor.number<std::uint32_t>(tensor.name);
  if (axes > kMaxAxes) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has {} axes; at most {} are possible", label,
         tensor.name, axes, kMaxAxes);
  }
  for (std::uint32_t axis = 0; axis < axes; ++axis) {
    // A size above int64 becomes negative here, which packed_bytes refuses.
    tensor.shape.push_back(cursor.number<std::int64_t>(tensor.name));
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const auto type = cursor.number<std::uint32_t>(tensor.name);
  tensor.type = blocks::find_block_type(type);
  if (tensor.type == nullptr) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' has type {} ({}), which is not read; {} expected",
         label, tensor.name, blocks::block_type_name(type), type, blocks::read_type_names());
  }
  entry.offset = cursor.number<std::uint64_t>(tensor.name);
  entry.bytes = packed_bytes(tensor, label);
  return entry;
}

/// Checks that each tensor is aligned and inside the data, then that none overlaps another.
void check_places(const std::vector<Entry>& entries, std::uint64_t data_bytes,
                  std::uint64_t alignment, const std::string& label) {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries) {
    const auto refuse = [&](const std::string& rule) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}': {}", label, entry.tensor.name, rule);
    };
    if (entry.offset % alignment != 0) {
      refuse(fmt::format("its offset {} is not a multiple of {}", entry.offset, alignment));
    }
    if (entry.offset > data_bytes || entry.bytes > data_bytes - entry.offset) {
      refuse(
          fmt::format("{} bytes at {} pass the end of the data ({} bytes): the file is cut or "
                      "damaged, get it again",
                      entry.bytes, entry.offset, data_bytes));
    }
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry* left, const Entry* right) { return left->offset < right->offset; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->offset < sorted[i - 1]->offset + sorted[i - 1]->bytes) {
      fail(ErrorKind::kInput, "io: {}: tensors '{}' and '{}' overlap", label,
           sorted[i - 1]->tensor.name, sorted[i]->tensor.name);
    }
  }
}

GgufMetadata read_metadata(io::ByteCursor& cursor, Bytes file, std::uint64_t count,
                           const std::string& label) {
  std::map<std::string, GgufValue> values;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key = containers::checked_name(read_text(cursor, "a metadata key"), label);
    const GgufValue value = read_value(cursor, file, key, label);
    if (!values.emplace(key, value).second) {
      fail(ErrorKind::kInput, "io: {}: metadata '{}' occurs twice", label, key);
    }
  }
  return {label, std::move(values)};
}

std::uint64_t data_alignment(const GgufMetadata& metadata) {
  const std::int64_t alignment =
      metadata.whole("general.alignment").value_or(static_cast<std::int64_t>(kDefaultAlignment));
  if (alignment <= 0 || !std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
    fail(ErrorKind::kInput, "io: {}: general.alignment is {}; a power of two was expected",
         metadata.label(), alignment);
  }
  return static_cast<std::uint64_t>(alignment);
}

}  // namespace

GgufFile parse_gguf(Bytes file, const std::string& label) {
  io::ByteCursor cursor(file, label);
  const Counts counts = read_start(cursor, label);
  GgufFile result;
  result.metadata = read_metadata(cursor, file, counts.values, label);
  std::vector<Entry> entries;
  std::unordered_set<std::string> names;
  for (std::uint64_t i = 0; i < counts.tensors; ++i) {
    entries.push_back(read_entry(cursor, label));
    if (!names.insert(entries.back().tensor.name).second) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}' occurs twice", label,
           entries.back().tensor.name);
    }
  }
  const std::uint64_t alignment = data_alignment(result.metadata);
  const std::uint64_t padding = (alignment - cursor.at() % alignment) % alignment;
  if (!entries.empty()) (void)cursor.take(padding, "the padding before the data");
  const Bytes data = file.subspan(cursor.at());
  check_places(entries, data.size(), alignment, label);
  for (Entry& entry : entries) {
    entry.tensor.bytes =
        data.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.bytes));
    result.tensors.push_back(std::move(entry.tensor));
  }
  return result;
}

// --- metadata -----------------------------------------------------------------------------------

const GgufValue* GgufMetadata::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void GgufMetadata::refuse_kind(const std::string& key, const char* expected) const {
  fail(ErrorKind::kInput, "io: {}: metadata '{}' is not {}", label_, key, expected);
}

std::optional<std::string> GgufMetadata::text(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != GgufKind::kString) refuse_kind(key, "a text");
  return std::string(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

std::optional<std::int64_t> GgufMetadata::whole(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  switch (value->kind) {
    case GgufKind::kU8:
      return io::number_at<std::uint8_t>(value->bytes);
    case GgufKind::kI8:
      return io::number_at<std::int8_t>(value->bytes);
    case GgufKind::kU16:
      return io::number_at<std::uint16_t>(value->bytes);
    case GgufKind::kI16:
      return io::number_at<std::int16_t>(value->bytes);
    case GgufKind::kU32:
      return io::number_at<std::uint32_t>(value->bytes);
    case GgufKind::kI32:
      return io::number_at<std::int32_t>(value->bytes);
    case GgufKind::kI64:
      return io::number_at<std::int64_t>(value->bytes);
    case GgufKind::kU64:
      if (io::number_at<std::int64_t>(value->bytes) < 0) refuse_kind(key, "a number below 2^63");
      return io::number_at<std::int64_t>(value->bytes);
    default:
      refuse_kind(key, "a whole number");
  }
}

std::optional<double> GgufMetadata::real(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind == GgufKind::kF32) return io::number_at<float>(value->bytes);
  if (value->kind == GgufKind::kF64) return io::number_at<double>(value->bytes);
  refuse_kind(key, "a floating-point number");
}

std::optional<bool> GgufMetadata::flag(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != GgufKind::kBool) refuse_kind(key, "true or false");
  return value->bytes[0] != std::byte{0};
}

const GgufValue* GgufMetadata::find_array(const std::string& key, GgufKind element) const {
  const GgufValue* value = find(key);
  if (value != nullptr && (value->kind != GgufKind::kArray || value->element != element)) {
    refuse_kind(key, "an array of the expected kind");
  }
  return value;
}

std::vector<std::string> GgufMetadata::texts(const std::string& key) const {
  std::vector<std::string> result;
  const GgufValue* value = find_array(key, GgufKind::kString);
  if (value == nullptr) return result;
  io::ByteCursor cursor(value->bytes, label_);
  for (std::uint64_t i = 0; i < value->count; ++i) result.push_back(read_text(cursor, key));
  return result;
}

std::vector<float> GgufMetadata::reals(const std::string& key) const {
  const GgufValue* value = find_array(key, GgufKind::kF32);
  if (value == nullptr) return {};
  std::vector<float> result(static_cast<std::size_t>(value->count));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = io::number_at<float>(value->bytes, i);
  return result;
}

std::vector<std::int32_t> GgufMetadata::wholes(const std::string& key) const {
  const GgufValue* value = find_array(key, GgufKind::kI32);
  if (value == nullptr) return {};
  std::vector<std::int32_t> result(static_cast<std::size_t>(value->count));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = io::number_at<std::int32_t>(value->bytes, i);
  }
  return result;
}

}  // namespace sgpt_mi::gguf

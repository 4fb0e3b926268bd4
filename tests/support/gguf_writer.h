#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace sgpt_mi::gguf {

/// Builds GGUF files byte by byte for the tests.
class GgufWriter {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;  // used for the padding; announce it with whole() when it differs

  GgufWriter& text(const std::string& key, const std::string& value) {
    return raw(key, 8, string(value));
  }
  GgufWriter& whole(const std::string& key, std::uint32_t value) {
    return raw(key, 4, number(value));
  }
  GgufWriter& real(const std::string& key, float value) { return raw(key, 6, number(value)); }
  GgufWriter& flag(const std::string& key, bool value) {
    return raw(key, 7, std::string(1, value ? '\1' : '\0'));
  }
  GgufWriter& texts(const std::string& key, const std::vector<std::string>& values) {
    std::string items;
    for (const std::string& value : values) items += string(value);
    return raw(key, 9, number<std::uint32_t>(8) + number<std::uint64_t>(values.size()) + items);
  }
  template <typename T>  // float: kind 6, std::int32_t: kind 5
  GgufWriter& numbers(const std::string& key, std::uint32_t kind, const std::vector<T>& values) {
    std::string items;
    for (const T value : values) items += number(value);
    return raw(key, 9, number(kind) + number<std::uint64_t>(values.size()) + items);
  }
  /// Any value, encoded by the caller.
  GgufWriter& raw(const std::string& key, std::uint32_t kind, const std::string& value) {
    values_ += string(key) + number(kind) + value;
    ++value_count_;
    return *this;
  }

  /// A tensor behind the last one; sizes with the innermost first, as in the file.
  GgufWriter& tensor(const std::string& name, std::uint32_t type,
                     const std::vector<std::uint64_t>& sizes, const std::string& data) {
    entry(name, type, sizes, data_.size());
    data_ += data;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  /// A tensor's description alone, with an offset of the caller's.
  GgufWriter& entry(const std::string& name, std::uint32_t type,
                    const std::vector<std::uint64_t>& sizes, std::uint64_t offset) {
    entries_ += string(name) + number(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) entries_ += number(size);
    entries_ += number(type) + number(offset);
    ++entry_count_;
    return *this;
  }

  [[nodiscard]] std::string bytes() const {
    std::string file = std::string("GGUF") + number(version) + number(entry_count_) +
                       number(value_count_) + values_ + entries_;
    if (entry_count_ > 0) {
      file.resize((file.size() + alignment - 1) / alignment * alignment, '\0');
    }
    return file + data_;
  }

  template <typename T>
  static std::string number(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string string(const std::string& value) {
    return number<std::uint64_t>(value.size()) + value;
  }

 private:
  std::string values_;
  std::string entries_;
  std::string data_;
  std::uint64_t value_count_ = 0;
  std::uint64_t entry_count_ = 0;
};

}  // namespace sgpt_mi::gguf

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace sgpt_mi::io {

/// The little-endian number that begins at element `index` of an array of such numbers.
template <typename T>
[[nodiscard]] T number_at(std::span<const std::byte> bytes, std::size_t index = 0) {
  T value{};
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// A place in a file that moves forward and never passes the end: every length that the file
/// states is held against the bytes that are left before it is believed.
///
/// All members throw Error(kInput) naming the file (`label`), the place and `what` was to be read.
class ByteCursor {
 public:
  ByteCursor(std::span<const std::byte> bytes, const std::string& label)
      : bytes_(bytes), label_(label) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  /// The next `count` bytes.
  std::span<const std::byte> take(std::uint64_t count, std::string_view what);

  /// The next `count` bytes as text, in place.
  std::string_view take_text(std::uint64_t count, std::string_view what);

  /// The text up to the next newline, which is passed.
  std::string_view take_line(std::string_view what);

  /// The next little-endian number.
  template <typename T>
  T number(std::string_view what) {
    return number_at<T>(take(sizeof(T), what));
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& label_;
  std::size_t at_ = 0;
};

}  // namespace sgpt_mi::io

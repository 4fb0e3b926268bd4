#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::containers {

enum class PickleKind : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,
  kTuple,
  kList,
  kDict,
  kGlobal,
  kStorage,
  kTensor
};

/// Python's name of a kind, for messages.
[[nodiscard]] std::string_view pickle_kind_name(PickleKind kind);

/// A value of a pickle. Containers refer to others by index, so that no depth of nesting can
/// exhaust the call stack.
struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  std::int64_t number = 0;         ///< kInt, kBool; kTensor: its index in the caller's list
  std::string text;                ///< kText; kGlobal: "module.name"; kStorage: its key
  DType dtype = DType::kF32;       ///< kStorage
  std::vector<std::size_t> items;  ///< kTuple, kList; kDict: key, value, key, value, ...
};

/// The memory of a pickle machine: all values ever made, a stack of them with marks, and the memo.
/// Values are handled by index. Misuse, which only a broken pickle causes, throws Error(kInput)
/// naming the file.
class PickleStack {
 public:
  explicit PickleStack(const std::string& label) : label_(label) {}

  [[nodiscard]] const PickleValue& value(std::size_t index) const { return values_[index]; }
  /// The value on top; it stays there.
  [[nodiscard]] const PickleValue& top() const;

  void push(PickleValue value);
  void push_again(std::size_t index) { stack_.push_back(index); }
  void push_number(PickleKind kind, std::int64_t number);
  void push_text(PickleKind kind, std::string text);
  void push_container(PickleKind kind, std::vector<std::size_t> items);
  /// Takes `count` values and pushes a tuple of them.
  void push_tuple(std::size_t count);
  [[nodiscard]] std::size_t pop();

  void mark() { marks_.push_back(stack_.size()); }
  [[nodiscard]] std::vector<std::size_t> pop_to_mark();

  /// Adds items to the list or dict on top.
  void extend(PickleKind kind, const std::vector<std::size_t>& items);

  /// Stores the top in the memo under a key, or under the next free number.
  void remember(std::uint32_t key);
  void remember_next() { remember(static_cast<std::uint32_t>(memo_.size())); }
  /// Pushes what the memo holds.
  void recall(std::uint32_t key);

  [[noreturn]] void refuse(const std::string& found) const;

 private:
  const std::string& label_;
  std::vector<PickleValue> values_;
  std::vector<std::size_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, std::size_t> memo_;
};

}  // namespace sgpt_mi::containers

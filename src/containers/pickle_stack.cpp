#include "pickle_stack.h"

#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::containers {

std::string_view pickle_kind_name(PickleKind kind) {
  constexpr std::array<std::string_view, 11> kNames{
      "None", "bool", "int", "float", "str", "tuple", "list", "dict", "class", "storage", "tensor"};
  return kNames.at(static_cast<std::size_t>(kind));
}

void PickleStack::refuse(const std::string& found) const {
  fail(ErrorKind::kInput, "io: {}: its pickle cannot be read: {}; get the file again", label_,
       found);
}

const PickleValue& PickleStack::top() const {
  if (stack_.empty()) refuse("its stack is empty");
  return values_[stack_.back()];
}

void PickleStack::push(PickleValue value) {
  stack_.push_back(values_.size());
  values_.push_back(std::move(value));
}

void PickleStack::push_number(PickleKind kind, std::int64_t number) {
  PickleValue value;
  value.kind = kind;
  value.number = number;
  push(std::move(value));
}

void PickleStack::push_text(PickleKind kind, std::string text) {
  PickleValue value;
  value.kind = kind;
  value.text = std::move(text);
  push(std::move(value));
}

void PickleStack::push_container(PickleKind kind, std::vector<std::size_t> items) {
  PickleValue value;
  value.kind = kind;
  value.items = std::move(items);
  push(std::move(value));
}

void PickleStack::push_tuple(std::size_t count) {
  std::vector<std::size_t> items(count);
  while (count > 0) items[--count] = pop();
  push_container(PickleKind::kTuple, std::move(items));
}

std::size_t PickleStack::pop() {
  // Values below the last mark belong to a container that is still open.
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("its stack is empty");
  const std::size_t index = stack_.back();
  stack_.pop_back();
  return index;
}

std::vector<std::size_t> PickleStack::pop_to_mark() {
  if (marks_.empty()) refuse("a mark is missing");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<std::size_t> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleStack::extend(PickleKind kind, const std::vector<std::size_t>& items) {
  (void)top();
  PickleValue& container = values_[stack_.back()];
  if (container.kind != kind || (kind == PickleKind::kDict && items.size() % 2 != 0)) {
    refuse("items are added to a value that cannot hold them");
  }
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void PickleStack::remember(std::uint32_t key) {
  (void)top();
  memo_[key] = stack_.back();
}

void PickleStack::recall(std::uint32_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) refuse("it uses a value that it has not made");
  stack_.push_back(found->second);
}

}  // namespace sgpt_mi::containers

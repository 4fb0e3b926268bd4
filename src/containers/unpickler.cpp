#include "unpickler.h"

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include "pickle_stack.h"
#include "sgpt_mi/containers/tensor_names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/byte_cursor.h"

namespace sgpt_mi::containers {
namespace {

using Kind = PickleKind;
using Value = PickleValue;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

constexpr std::string_view kPickle = "its pickle";  // in messages about early ends

struct StorageClass {
  std::string_view name;
  DType dtype;
};

constexpr std::array<StorageClass, 10> kStorageClasses{{{"torch.DoubleStorage", DType::kF64},
                                                        {"torch.FloatStorage", DType::kF32},
                                                        {"torch.HalfStorage", DType::kF16},
                                                        {"torch.BFloat16Storage", DType::kBF16},
                                                        {"torch.LongStorage", DType::kI64},
                                                        {"torch.IntStorage", DType::kI32},
                                                        {"torch.ShortStorage", DType::kI16},
                                                        {"torch.CharStorage", DType::kI8},
                                                        {"torch.ByteStorage", DType::kU8},
                                                        {"torch.BoolStorage", DType::kBool}}};

std::optional<DType> storage_dtype(std::string_view name) {
  for (const StorageClass& row : kStorageClasses) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

/// The pickle machine: one-byte opcodes work on a stack.
class Unpickler {
 public:
  Unpickler(std::string_view pickle, const std::string& label)
      : input_(std::as_bytes(std::span(pickle)), label), stack_(label), label_(label) {}

  std::vector<PickledTensor> run();

 private:
  template <typename T>
  T number() {
    return input_.number<T>(kPickle);
  }
  std::int64_t long_number(std::size_t bytes);
  std::string text(std::size_t bytes) { return std::string(input_.take_text(bytes, kPickle)); }

  // Groups of opcodes; each returns whether it knows the opcode.
  bool number_opcode(char opcode);
  bool text_opcode(char opcode);
  bool tuple_opcode(char opcode);
  bool container_opcode(char opcode);
  bool memo_opcode(char opcode);
  bool object_opcode(char opcode);

  void set_item();
  void push_global(std::string name);
  void push_global_from_stack();
  void push_storage();
  void call();
  void rebuild_tensor(const Value& arguments);
  void build();

  const Value& argument(const Value& tuple, std::size_t index, Kind kind) const;
  std::vector<std::int64_t> sizes(const Value& tuple) const;
  std::vector<PickledTensor> state_dict() const;

  io::ByteCursor input_;
  PickleStack stack_;
  const std::string& label_;
  std::vector<PickledTensor> tensors_;
};

/// A two's complement number of up to 8 bytes.
std::int64_t Unpickler::long_number(std::size_t bytes) {
  if (bytes > sizeof(std::int64_t)) stack_.refuse("a whole number has more than 64 bits");
  const std::string_view digits = input_.take_text(bytes, kPickle);
  const bool negative = !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0;
  std::int64_t value = negative ? -1 : 0;
  std::memcpy(&value, digits.data(), digits.size());
  return value;
}

bool Unpickler::number_opcode(char opcode) {
  switch (opcode) {
    case 'N':
      stack_.push_number(Kind::kNone, 0);
      return true;
    case '\x88':
    case '\x89':
      stack_.push_number(Kind::kBool, opcode == '\x88' ? 1 : 0);
      return true;
    case 'K':
      stack_.push_number(Kind::kInt, number<std::uint8_t>());
      return true;
    case 'M':
      stack_.push_number(Kind::kInt, number<std::uint16_t>());
      return true;
    case 'J':
      stack_.push_number(Kind::kInt, number<std::int32_t>());
      return true;
    case '\x8a':
      stack_.push_number(Kind::kInt, long_number(number<std::uint8_t>()));
      return true;
    case 'G':  // its value is never needed
      (void)number<double>();
      stack_.push_number(Kind::kFloat, 0);
      return true;
    default:
      return false;
  }
}

bool Unpickler::text_opcode(char opcode) {
  switch (opcode) {
    case 'X':
      stack_.push_text(Kind::kText, text(number<std::uint32_t>()));
      return true;
    case '\x8c':
      stack_.push_text(Kind::kText, text(number<std::uint8_t>()));
      return true;
    default:
      return false;
  }
}

bool Unpickler::tuple_opcode(char opcode) {
  switch (opcode) {
    case ')':
      stack_.push_tuple(0);
      return true;
    case '\x85':
    case '\x86':
    case '\x87':
      stack_.push_tuple(static_cast<std::size_t>(opcode - '\x84'));
      return true;
    case 't':
      stack_.push_container(Kind::kTuple, stack_.pop_to_mark());
      return true;
    default:
      return false;
  }
}

/// Marks, lists and dicts.
bool Unpickler::container_opcode(char opcode) {
  switch (opcode) {
    case '(':
      stack_.mark();
      return true;
    case ']':
      stack_.push_container(Kind::kList, {});
      return true;
    case '}':
      stack_.push_container(Kind::kDict, {});
      return true;
    case 'a':
      stack_.extend(Kind::kList, {stack_.pop()});
      return true;
    case 'e':
      stack_.extend(Kind::kList, stack_.pop_to_mark());
      return true;
    case 's':
      set_item();
      return true;
    case 'u':
      stack_.extend(Kind::kDict, stack_.pop_to_mark());
      return true;
    default:
      return false;
  }
}

/// Values that are used again.
bool Unpickler::memo_opcode(char opcode) {
  switch (opcode) {
    case 'q':
      stack_.remember(number<std::uint8_t>());
      return true;
    case 'r':
      stack_.remember(number<std::uint32_t>());
      return true;
    case '\x94':
      stack_.remember_next();
      return true;
    case 'h':
      stack_.recall(number<std::uint8_t>());
      return true;
    case 'j':
      stack_.recall(number<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

/// Classes and calls, and the announcements of a protocol and of a frame.
bool Unpickler::object_opcode(char opcode) {
  switch (opcode) {
    case '\x80':
      (void)number<std::uint8_t>();
      return true;
    case '\x95':
      (void)number<std::uint64_t>();
      return true;
    case 'c': {
      const std::string_view module = input_.take_line(kPickle);
      push_global(fmt::format("{}.{}", module, input_.take_line(kPickle)));
      return true;
    }
    case '\x93':
      push_global_from_stack();
      return true;
    case 'Q':
      push_storage();
      return true;
    case 'R':
      call();
      return true;
    case 'b':
      build();
      return true;
    default:
      return false;
  }
}

void Unpickler::set_item() {
  const std::size_t value = stack_.pop();
  const std::size_t key = stack_.pop();
  stack_.extend(Kind::kDict, {key, value});
}

void Unpickler::push_global_from_stack() {
  const Value& name = stack_.value(stack_.pop());
  const Value& module = stack_.value(stack_.pop());
  push_global(fmt::format("{}.{}", module.text, name.text));
}

void Unpickler::push_global(std::string name) {
  const bool known = name == kOrderedDict || name == kRebuildTensor || name == kRebuildParameter ||
                     storage_dtype(name).has_value();
  if (!known) {
    fail(ErrorKind::kInput,
         "io: {}: its pickle asks for '{}'; only dense tensors of the usual dtypes and plain "
         "containers are read: save the state dict alone",
         label_, printable(name));
  }
  stack_.push_text(Kind::kGlobal, std::move(name));
}

/// ("storage", class, key, device, count) -> a storage. The count is not needed: the record's
/// length decides.
void Unpickler::push_storage() {
  const Value& id = stack_.value(stack_.pop());
  if (id.kind != Kind::kTuple || id.items.size() != 5) {
    stack_.refuse("a storage's description is not one");
  }
  const std::optional<DType> dtype = storage_dtype(argument(id, 1, Kind::kGlobal).text);
  if (!dtype) stack_.refuse("a storage's class is not one");
  Value storage;
  storage.kind = Kind::kStorage;
  storage.text = argument(id, 2, Kind::kText).text;
  storage.dtype = *dtype;
  stack_.push(std::move(storage));
}

/// Calls a function of the short list above.
void Unpickler::call() {
  const Value& arguments = stack_.value(stack_.pop());
  const Value& callee = stack_.value(stack_.pop());
  if (arguments.kind != Kind::kTuple || callee.kind != Kind::kGlobal) {
    stack_.refuse("it calls a value that is not a function");
  }
  if (callee.text == kOrderedDict && arguments.items.empty()) {
    stack_.push_container(Kind::kDict, {});
  } else if (callee.text == kRebuildTensor) {
    rebuild_tensor(arguments);
  } else if (callee.text == kRebuildParameter) {
    (void)argument(arguments, 0, Kind::kTensor);
    stack_.push_again(arguments.items[0]);
  } else {
    stack_.refuse(fmt::format("'{}' cannot be called like this", callee.text));
  }
}

/// (storage, offset, shape, strides, requires_grad, hooks[, metadata]) -> a tensor.
void Unpickler::rebuild_tensor(const Value& arguments) {
  const Value& storage = argument(arguments, 0, Kind::kStorage);
  PickledTensor tensor;
  tensor.dtype = storage.dtype;
  tensor.storage = storage.text;
  tensor.offset = argument(arguments, 1, Kind::kInt).number;
  tensor.shape = sizes(argument(arguments, 2, Kind::kTuple));
  tensor.strides = sizes(argument(arguments, 3, Kind::kTuple));
  if (tensor.shape.size() != tensor.strides.size()) {
    stack_.refuse("a tensor's strides do not fit its shape");
  }
  stack_.push_number(Kind::kTensor, static_cast<std::int64_t>(tensors_.size()));
  tensors_.push_back(std::move(tensor));
}

/// Attributes of an OrderedDict (such as the "_metadata" of a module's state dict) are dropped.
void Unpickler::build() {
  (void)stack_.pop();
  if (stack_.top().kind != Kind::kDict) {
    stack_.refuse("attributes are given to a value that cannot have them");
  }
}

const Value& Unpickler::argument(const Value& tuple, std::size_t index, Kind kind) const {
  if (index >= tuple.items.size() || stack_.value(tuple.items[index]).kind != kind) {
    stack_.refuse(fmt::format("argument {} of a call is not a {}", index, pickle_kind_name(kind)));
  }
  return stack_.value(tuple.items[index]);
}

std::vector<std::int64_t> Unpickler::sizes(const Value& tuple) const {
  constexpr std::size_t kMaxAxes = 64;  // as in PyTorch
  if (tuple.items.size() > kMaxAxes) stack_.refuse("a tensor has more than 64 axes");
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; i < tuple.items.size(); ++i) {
    result.push_back(argument(tuple, i, Kind::kInt).number);
  }
  return result;
}

/// The tensors of the dictionary on top, with their names; numbers and words in it are left out, as
/// transformers leaves them.
std::vector<PickledTensor> Unpickler::state_dict() const {
  const Value& root = stack_.top();
  if (root.kind != Kind::kDict) {
    fail(ErrorKind::kInput, "io: {} holds a {}; a dictionary of tensors was expected", label_,
         pickle_kind_name(root.kind));
  }
  std::vector<PickledTensor> named;
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < root.items.size(); i += 2) {
    const Value& key = stack_.value(root.items[i]);
    const Value& value = stack_.value(root.items[i + 1]);
    if (key.kind != Kind::kText) {
      fail(ErrorKind::kInput, "io: {} has a key that is a {}; tensor names were expected", label_,
           pickle_kind_name(key.kind));
    }
    const std::string name = checked_name(key.text, label_);
    if (!names.insert(key.text).second) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}' occurs twice", label_, name);
    }
    if (value.kind <= Kind::kText)
      continue;  // a number or word beside the tensors: "step", "epoch"
    if (value.kind != Kind::kTensor) {
      fail(ErrorKind::kInput,
           "io: {}: '{}' is a {}; a tensor was expected: save the state dict alone", label_, name,
           pickle_kind_name(value.kind));
    }
    named.push_back(tensors_[static_cast<std::size_t>(value.number)]);
    named.back().name = name;
  }
  if (named.empty() && !root.items.empty()) {
    fail(ErrorKind::kInput, "io: {} holds a dictionary without a tensor; a state dict was expected",
         label_);
  }
  return named;
}

std::vector<PickledTensor> Unpickler::run() {
  constexpr char kStop = '.';
  for (char opcode = number<char>(); opcode != kStop; opcode = number<char>()) {
    if (!number_opcode(opcode) && !text_opcode(opcode) && !tuple_opcode(opcode) &&
        !container_opcode(opcode) && !memo_opcode(opcode) && !object_opcode(opcode)) {
      stack_.refuse(fmt::format("opcode 0x{:02x} is not one that torch.save writes",
                                static_cast<unsigned char>(opcode)));
    }
  }
  return state_dict();
}

}  // namespace

std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle, const std::string& label) {
  return Unpickler(pickle, label).run();
}

}  // namespace sgpt_mi::containers

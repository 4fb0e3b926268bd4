#include "unpickler.h"

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {
namespace {

enum class Kind : std::uint8_t {
  kNone, kBool, kInt, kFloat, kText, kTuple, kList, kDict, kGlobal, kStorage, kTensor
};

constexpr std::array<std::string_view, 11> kKindNames{
    "None", "bool", "int", "float", "str", "tuple", "list", "dict", "class", "storage", "tensor"};

/// A value of the pickle. Containers refer to others by index, so that no depth of nesting can
/// exhaust the call stack.
struct Value {
  Kind kind = Kind::kNone;
  std::int64_t number = 0;         // kInt, kBool; kTensor: index of the tensor
  std::string text;                // kText; kGlobal: its name; kStorage: its key
  DType dtype = DType::kF32;       // kStorage
  std::vector<std::size_t> items;  // kTuple, kList; kDict: key, value, key, value, ...
};

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

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

/// The pickle machine: a stack of values, marks and a memo, driven by one-byte opcodes.
class Unpickler {
 public:
  Unpickler(std::string_view pickle, const std::string& label) : pickle_(pickle), label_(label) {}

  std::vector<PickledTensor> run();

 private:
  [[noreturn]] void refuse(const std::string& found) const {
    fail(ErrorKind::kInput, "io: {}: its pickle cannot be read at byte {}: {}", label_, at_, found);
  }

  // Input.
  std::string_view take(std::size_t bytes);
  std::string_view take_line();
  template <typename T>
  T number();
  std::int64_t long_number(std::size_t bytes);

  // Stack.
  void push(Value value);
  std::size_t pop();
  std::vector<std::size_t> pop_to_mark();
  Value& top();
  void push_container(Kind kind, std::vector<std::size_t> items);
  void push_tuple(std::size_t count);
  void push_number(Kind kind, std::int64_t value);
  void push_text(std::size_t bytes);

  // Groups of opcodes; each returns whether it knows the opcode.
  bool simple_opcode(char opcode);
  bool container_opcode(char opcode);
  bool memo_opcode(char opcode);
  bool object_opcode(char opcode);

  void extend(Kind kind, const std::vector<std::size_t>& items);
  void remember(std::uint32_t key);
  void recall(std::uint32_t key);
  void push_global(std::string name);
  void push_storage();
  void call();
  void rebuild_tensor(const Value& arguments);
  void build();

  const Value& argument(const Value& tuple, std::size_t index, Kind kind) const;
  std::vector<std::int64_t> sizes(const Value& tuple) const;
  std::vector<PickledTensor> state_dict();

  std::string_view pickle_;
  const std::string& label_;
  std::size_t at_ = 0;
  std::vector<Value> values_;
  std::vector<std::size_t> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, std::size_t> memo_;
  std::vector<PickledTensor> tensors_;
};

// --- input ----------------------------------------------------------------------------------------

std::string_view Unpickler::take(std::size_t bytes) {
  if (bytes > pickle_.size() - at_) refuse("it ends early");
  const std::string_view part = pickle_.substr(at_, bytes);
  at_ += bytes;
  return part;
}

std::string_view Unpickler::take_line() {
  const std::size_t newline = pickle_.find('\n', at_);
  if (newline == std::string_view::npos) refuse("it ends early");
  const std::string_view line = take(newline - at_);
  at_ += 1;
  return line;
}

template <typename T>
T Unpickler::number() {
  T value{};
  std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));  // little-endian
  return value;
}

/// A two's complement number of up to 8 bytes.
std::int64_t Unpickler::long_number(std::size_t bytes) {
  if (bytes > sizeof(std::int64_t)) refuse("a whole number has more than 64 bits");
  const std::string_view digits = take(bytes);
  const bool negative = !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0;
  std::int64_t value = negative ? -1 : 0;
  std::memcpy(&value, digits.data(), digits.size());
  return value;
}

// --- stack ----------------------------------------------------------------------------------------

void Unpickler::push(Value value) {
  stack_.push_back(values_.size());
  values_.push_back(std::move(value));
}

std::size_t Unpickler::pop() {
  // Values below the last mark belong to a container that is still open.
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("its stack is empty");
  const std::size_t index = stack_.back();
  stack_.pop_back();
  return index;
}

std::vector<std::size_t> Unpickler::pop_to_mark() {
  if (marks_.empty()) refuse("a mark is missing");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<std::size_t> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

Value& Unpickler::top() {
  if (stack_.empty()) refuse("its stack is empty");
  return values_[stack_.back()];
}

void Unpickler::push_container(Kind kind, std::vector<std::size_t> items) {
  Value value;
  value.kind = kind;
  value.items = std::move(items);
  push(std::move(value));
}

void Unpickler::push_tuple(std::size_t count) {
  std::vector<std::size_t> items(count);
  while (count > 0) items[--count] = pop();
  push_container(Kind::kTuple, std::move(items));
}

void Unpickler::push_number(Kind kind, std::int64_t value) {
  Value number;
  number.kind = kind;
  number.number = value;
  push(std::move(number));
}

void Unpickler::push_text(std::size_t bytes) {
  Value text;
  text.kind = Kind::kText;
  text.text = take(bytes);
  push(std::move(text));
}

// --- opcodes --------------------------------------------------------------------------------------

/// None, booleans, numbers, texts.
bool Unpickler::simple_opcode(char opcode) {
  switch (opcode) {
    case 'N': push_number(Kind::kNone, 0); return true;
    case '\x88': push_number(Kind::kBool, 1); return true;
    case '\x89': push_number(Kind::kBool, 0); return true;
    case 'K': push_number(Kind::kInt, number<std::uint8_t>()); return true;
    case 'M': push_number(Kind::kInt, number<std::uint16_t>()); return true;
    case 'J': push_number(Kind::kInt, number<std::int32_t>()); return true;
    case '\x8a': push_number(Kind::kInt, long_number(number<std::uint8_t>())); return true;
    case 'G': (void)take(sizeof(double)); push_number(Kind::kFloat, 0); return true;
    case 'X': push_text(number<std::uint32_t>()); return true;
    case '\x8c': push_text(number<std::uint8_t>()); return true;
    default: return false;
  }
}

/// Tuples, lists, dicts.
bool Unpickler::container_opcode(char opcode) {
  switch (opcode) {
    case '(': marks_.push_back(stack_.size()); return true;
    case ')': push_tuple(0); return true;
    case '\x85': push_tuple(1); return true;
    case '\x86': push_tuple(2); return true;
    case '\x87': push_tuple(3); return true;
    case 't': push_container(Kind::kTuple, pop_to_mark()); return true;
    case ']': push_container(Kind::kList, {}); return true;
    case '}': push_container(Kind::kDict, {}); return true;
    case 'a': extend(Kind::kList, {pop()}); return true;
    case 'e': extend(Kind::kList, pop_to_mark()); return true;
    case 's': {
      const std::size_t value = pop();
      const std::size_t key = pop();
      extend(Kind::kDict, {key, value});
      return true;
    }
    case 'u': extend(Kind::kDict, pop_to_mark()); return true;
    default: return false;
  }
}

/// Values that are used again.
bool Unpickler::memo_opcode(char opcode) {
  switch (opcode) {
    case 'q': remember(number<std::uint8_t>()); return true;
    case 'r': remember(number<std::uint32_t>()); return true;
    case '\x94': remember(static_cast<std::uint32_t>(memo_.size())); return true;
    case 'h': recall(number<std::uint8_t>()); return true;
    case 'j': recall(number<std::uint32_t>()); return true;
    default: return false;
  }
}

/// Classes, calls, and the frames of newer protocols.
bool Unpickler::object_opcode(char opcode) {
  switch (opcode) {
    case '\x80': (void)take(1); return true;                     // protocol number
    case '\x95': (void)take(sizeof(std::uint64_t)); return true;  // frame length
    case 'c': {
      const std::string module(take_line());
      push_global(module + "." + std::string(take_line()));
      return true;
    }
    case 'Q': push_storage(); return true;
    case 'R': call(); return true;
    case 'b': build(); return true;
    default: return false;
  }
}

void Unpickler::extend(Kind kind, const std::vector<std::size_t>& items) {
  Value& container = top();
  if (container.kind != kind || (kind == Kind::kDict && items.size() % 2 != 0)) {
    refuse("items are added to a value that cannot hold them");
  }
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void Unpickler::remember(std::uint32_t key) {
  (void)top();
  memo_[key] = stack_.back();
}

void Unpickler::recall(std::uint32_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) refuse("it uses a value that it has not made");
  stack_.push_back(found->second);
}

void Unpickler::push_global(std::string name) {
  const bool known = name == kOrderedDict || name == kRebuildTensor || name == kRebuildParameter ||
                     storage_dtype(name).has_value();
  if (!known) {
    fail(ErrorKind::kInput,
         "io: {}: its pickle asks for '{}'; only dense tensors of the usual dtypes and plain "
         "containers are read: save the state dict alone",
         label_, name);
  }
  Value global;
  global.kind = Kind::kGlobal;
  global.text = std::move(name);
  push(std::move(global));
}

/// ("storage", class, key, device, count) -> a storage. The count is not needed: the record's
/// length decides.
void Unpickler::push_storage() {
  const Value& id = values_[pop()];
  if (id.kind != Kind::kTuple || id.items.size() != 5) refuse("a storage's description is not one");
  const std::optional<DType> dtype = storage_dtype(argument(id, 1, Kind::kGlobal).text);
  if (!dtype) refuse("a storage's class is not one");
  Value storage;
  storage.kind = Kind::kStorage;
  storage.text = argument(id, 2, Kind::kText).text;
  storage.dtype = *dtype;
  push(std::move(storage));
}

/// Calls a function of the short list above.
void Unpickler::call() {
  const std::size_t arguments = pop();
  const Value& callee = values_[pop()];
  if (values_[arguments].kind != Kind::kTuple || callee.kind != Kind::kGlobal) {
    refuse("it calls a value that is not a function");
  }
  if (callee.text == kOrderedDict && values_[arguments].items.empty()) {
    push_container(Kind::kDict, {});
  } else if (callee.text == kRebuildTensor) {
    rebuild_tensor(values_[arguments]);
  } else if (callee.text == kRebuildParameter) {
    (void)argument(values_[arguments], 0, Kind::kTensor);
    stack_.push_back(values_[arguments].items[0]);
  } else {
    refuse(fmt::format("'{}' cannot be called like this", callee.text));
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
  if (tensor.shape.size() != tensor.strides.size()) refuse("a tensor's strides do not fit its shape");
  push_number(Kind::kTensor, static_cast<std::int64_t>(tensors_.size()));
  tensors_.push_back(std::move(tensor));
}

/// Attributes of an OrderedDict (such as the "_metadata" of a module's state dict) are dropped.
void Unpickler::build() {
  (void)pop();
  if (top().kind != Kind::kDict) refuse("attributes are given to a value that cannot have them");
}

// --- results --------------------------------------------------------------------------------------

const Value& Unpickler::argument(const Value& tuple, std::size_t index, Kind kind) const {
  if (index >= tuple.items.size() || values_[tuple.items[index]].kind != kind) {
    refuse(fmt::format("argument {} of a call is not a {}", index,
                       kKindNames[static_cast<std::size_t>(kind)]));
  }
  return values_[tuple.items[index]];
}

std::vector<std::int64_t> Unpickler::sizes(const Value& tuple) const {
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; i < tuple.items.size(); ++i) {
    result.push_back(argument(tuple, i, Kind::kInt).number);
  }
  return result;
}

std::vector<PickledTensor> Unpickler::state_dict() {
  const Value& root = top();
  const auto kind_name = [](const Value& value) {
    return kKindNames[static_cast<std::size_t>(value.kind)];
  };
  if (root.kind != Kind::kDict) {
    fail(ErrorKind::kInput, "io: {} holds a {}; a dictionary of tensors was expected", label_,
         kind_name(root));
  }
  std::vector<PickledTensor> named;
  for (std::size_t i = 0; i < root.items.size(); i += 2) {
    const Value& key = values_[root.items[i]];
    const Value& value = values_[root.items[i + 1]];
    if (key.kind != Kind::kText) {
      fail(ErrorKind::kInput, "io: {} has a key that is a {}; tensor names were expected", label_,
           kind_name(key));
    }
    if (value.kind != Kind::kTensor) {
      fail(ErrorKind::kInput,
           "io: {}: '{}' is a {}; a tensor was expected: save the state dict alone", label_,
           key.text, kind_name(value));
    }
    named.push_back(tensors_[static_cast<std::size_t>(value.number)]);
    named.back().name = key.text;
  }
  return named;
}

std::vector<PickledTensor> Unpickler::run() {
  constexpr char kStop = '.';
  for (char opcode = take(1).front(); opcode != kStop; opcode = take(1).front()) {
    if (!simple_opcode(opcode) && !container_opcode(opcode) && !memo_opcode(opcode) &&
        !object_opcode(opcode)) {
      refuse(fmt::format("opcode 0x{:02x} is not one that torch.save writes",
                         static_cast<unsigned char>(opcode)));
    }
  }
  return state_dict();
}

}  // namespace

std::vector<PickledTensor> unpickle_state_dict(std::string_view pickle, const std::string& label) {
  return Unpickler(pickle, label).run();
}

}  // namespace sgpt_mi::io

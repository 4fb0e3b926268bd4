#include "safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/containers/checked_count.h"
#include "sgpt_mi/containers/tensor_names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/json_events.h"

namespace sgpt_mi::containers {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

/// One tensor of the header; the three members may come in any order.
struct HeaderEntry {
  TensorInfo info;
  bool has_dtype = false;
  bool has_shape = false;
  std::vector<std::uint64_t> data_offsets;  // [begin, end) from the start of the data
};

/// Collects the entries of {"name": {"dtype": …, "shape": […], "data_offsets": […]}, …}, beside
/// "__metadata__": {string: string} or null; refuses every other structure where it occurs.
class HeaderEvents : public io::JsonEvents {
 public:
  explicit HeaderEvents(const std::string& label) : label_(label) {}

  std::vector<HeaderEntry> entries;

  bool start_object(std::size_t) override {
    if (depth_ == 2) return other();
    ++depth_;
    if (depth_ == 2 && name_ != kMetadata) {
      entries.emplace_back();
      entries.back().info.name = name_;
    }
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && name_ != kMetadata) check_complete(entries.back());
    --depth_;
    member_.clear();
    return true;
  }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      name_ = checked_name(text, label_);
      member_.clear();
      members_.clear();
      if (!names_.insert(text).second) {
        fail(ErrorKind::kInput, "io: {}: tensor '{}' occurs twice in the header", label_, text);
      }
      return true;
    }
    member_ = printable(text);
    if (!members_.insert(text).second) refuse("the member '{}' occurs twice", member_);
    return true;
  }

  bool null() override {  // no metadata: what some writers make of an absent dictionary
    return depth_ == 1 && name_ == kMetadata ? true : other();
  }

  bool string(string_t& text) override {
    if (in_array_ || depth_ != 2) return other();
    if (name_ == kMetadata) return true;
    if (member_ != "dtype") return other();
    const std::optional<DType> dtype = dtype_from_name(text);
    if (!dtype) {
      refuse("dtype '{}' is not known; F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL expected",
             printable(text));
    }
    entries.back().info.dtype = *dtype;
    entries.back().has_dtype = true;
    return true;
  }

  bool start_array(std::size_t) override {
    const bool is_list = member_ == "shape" || member_ == "data_offsets";
    if (in_array_ || depth_ != 2 || name_ == kMetadata || !is_list) return other();
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    if (member_ == "shape") entries.back().has_shape = true;
    return true;
  }

  bool number_integer(number_integer_t value) override {  // negative: the others are unsigned
    if (!in_array_) return other();
    refuse("{} holds the negative number {}; sizes and offsets start at 0", member_, value);
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) return other();
    if (member_ == "data_offsets") {
      entries.back().data_offsets.push_back(value);
      return true;
    }
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
      refuse("shape holds {}, more than a 64-bit size can hold", value);
    }
    entries.back().info.shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

 protected:
  bool other() override {
    if (depth_ == 0) {
      fail(ErrorKind::kInput, "io: {}: the header is not a JSON object", label_);
    }
    refuse(
        "unexpected value{}{}{}; expected \"dtype\": text, \"shape\": [sizes] and "
        "\"data_offsets\": [begin, end]",
        member_.empty() ? "" : " at '", member_, member_.empty() ? "" : "'");
  }

 private:
  static constexpr std::string_view kMetadata = "__metadata__";

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::kInput, "io: {}: tensor '{}': {}", label_, name_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  void check_complete(const HeaderEntry& entry) const {
    if (!entry.has_dtype) refuse("the header gives no dtype");
    if (!entry.has_shape) refuse("the header gives no shape");
    if (entry.data_offsets.size() != 2) {
      refuse("data_offsets has {} numbers; [begin, end] expected", entry.data_offsets.size());
    }
  }

  const std::string& label_;
  int depth_ = 0;
  bool in_array_ = false;
  std::string name_;    // current key of the outer object
  std::string member_;  // current key of the inner object
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> members_;
};

/// The header's text, after its length has been checked against the file.
std::string_view header_text(std::span<const std::byte> file, const std::string& label) {
  if (file.size() < kLengthBytes) {
    fail(ErrorKind::kInput,
         "io: {} has {} bytes; a safetensors file starts with an 8-byte header length: the file "
         "is empty or cut, get it again",
         label, file.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);  // little-endian, as every supported host
  if (length > kMaxHeaderBytes) {
    fail(ErrorKind::kInput,
         "io: {}: the header would be {} bytes long; at most {} are allowed: not a safetensors "
         "file, or a damaged one",
         label, length, kMaxHeaderBytes);
  }
  if (length > file.size() - kLengthBytes) {
    fail(ErrorKind::kInput,
         "io: {}: the header is {} bytes long, but only {} bytes follow: the file is cut, get it "
         "again",
         label, length, file.size() - kLengthBytes);
  }
  const auto* text = reinterpret_cast<const char*>(file.data() + kLengthBytes);
  return {text, static_cast<std::size_t>(length)};
}

/// Checks one tensor's span by itself: ordered, within the data, as long as shape and dtype say.
void check_span(const HeaderEntry& entry, std::size_t data_bytes, const std::string& label) {
  const auto refuse = [&](const std::string& rule) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}': {}", label, entry.info.name, rule);
  };
  const std::uint64_t begin = entry.data_offsets[0];
  const std::uint64_t end = entry.data_offsets[1];
  if (begin > end) refuse(fmt::format("data_offsets [{}, {}] run backwards", begin, end));
  if (end > data_bytes) {
    refuse(
        fmt::format("data_offsets [{}, {}] pass the end of the data ({} bytes): the file is "
                    "cut or its header is damaged",
                    begin, end, data_bytes));
  }
  const std::optional<std::int64_t> count = checked_count(entry.info.shape);
  std::uint64_t expected = 0;
  if (!count || __builtin_mul_overflow(static_cast<std::uint64_t>(*count),
                                       dtype_size(entry.info.dtype), &expected)) {
    refuse("its shape has more elements than 64 bits can count");
  }
  if (end - begin != expected) {
    refuse(fmt::format("data_offsets [{}, {}] hold {} bytes, but its shape needs {} bytes of {}",
                       begin, end, end - begin, expected, dtype_name(entry.info.dtype)));
  }
}

/// Checks that the sorted spans cover the data without overlap or gap.
void check_cover(const std::vector<HeaderEntry>& entries, std::size_t data_bytes,
                 const std::string& label) {
  std::uint64_t covered = 0;
  for (const HeaderEntry& entry : entries) {
    const std::uint64_t begin = entry.data_offsets[0];
    if (begin != covered) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}': its data starts at {}, but {}", label,
           entry.info.name, begin,
           begin < covered ? fmt::format("overlaps another tensor's, which ends at {}", covered)
                           : fmt::format("the tensor before ends at {}: a gap", covered));
    }
    covered = entry.data_offsets[1];
  }
  if (covered != data_bytes) {
    fail(ErrorKind::kInput, "io: {}: {} bytes after the last tensor belong to no tensor", label,
         data_bytes - covered);
  }
}

}  // namespace

SafetensorsLayout parse_safetensors(std::span<const std::byte> file, const std::string& label) {
  const std::string_view text = header_text(file, label);
  if (text.empty() || text.front() != '{') {
    fail(ErrorKind::kInput, "io: {}: the header does not begin with '{{': not a safetensors file",
         label);
  }
  HeaderEvents events(label);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) {
    fail(ErrorKind::kInput, "io: {}: the header is not valid JSON: {}", label,
         events.syntax_error());
  }
  const std::size_t data_start = kLengthBytes + text.size();
  const std::size_t data_bytes = file.size() - data_start;
  std::vector<HeaderEntry>& entries = events.entries;
  for (const HeaderEntry& entry : entries) check_span(entry, data_bytes, label);
  // Equal places occur for tensors without elements only; the header's order decides there.
  std::stable_sort(entries.begin(), entries.end(), [](const auto& left, const auto& right) {
    return left.data_offsets < right.data_offsets;
  });
  check_cover(entries, data_bytes, label);

  SafetensorsLayout layout;
  layout.tensors.reserve(entries.size());
  layout.offsets.reserve(entries.size());
  for (HeaderEntry& entry : entries) {
    layout.offsets.push_back(data_start + static_cast<std::size_t>(entry.data_offsets[0]));
    layout.tensors.push_back(std::move(entry.info));
  }
  return layout;
}

}  // namespace sgpt_mi::containers

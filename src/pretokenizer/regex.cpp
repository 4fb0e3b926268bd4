#include "sgpt_mi/pretokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <new>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::pretokenizer {
namespace {

// PCRE2's own 32 KiB suffice for words; long runs of white space backtrack character by character.
constexpr std::size_t kJitStackStart = std::size_t{1} << 20;
constexpr std::size_t kJitStackLimit = std::size_t{256} << 20;

std::string pcre_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR as_units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

/// What one scan of a text needs besides the compiled pattern.
class Scan {
 public:
  explicit Scan(const pcre2_code* code)
      : code_(code),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)) {
    if (context_ == nullptr || data_ == nullptr) throw std::bad_alloc();
  }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;
  ~Scan() {
    pcre2_match_data_free(data_);
    pcre2_jit_stack_free(stack_);
    pcre2_match_context_free(context_);
  }

  /// Finds the next match at or after `from`.
  bool find(std::string_view text, std::size_t from, std::uint32_t options, Span& found) {
    int result = match(text, from, options);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && enlarge_stack())
      result = match(text, from, options);
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
    if (result < 0) {
      fail(ErrorKind::kInput,
           "text: splitting stopped at byte {}: {}; expected a text with shorter runs", from,
           pcre_message(result));
    }
    const std::size_t* offsets = pcre2_get_ovector_pointer(data_);
    found = {offsets[0], offsets[1]};
    return true;
  }

 private:
  int match(std::string_view text, std::size_t from, std::uint32_t options) {
    return pcre2_match(code_, as_units(text), text.size(), from, options | PCRE2_NO_UTF_CHECK,
                       data_, context_);
  }

  bool enlarge_stack() {
    if (stack_ != nullptr) return false;
    stack_ = pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr);
    if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
    return stack_ != nullptr;
  }

  const pcre2_code* code_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_ = nullptr;
  pcre2_match_data* data_;
};

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool may_be_empty = false;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern) {
  auto owner = std::make_unique<Code>();
  int error = 0;
  std::size_t offset = 0;
  owner->code = pcre2_compile(as_units(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                              &offset, nullptr);
  if (owner->code == nullptr && error == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc();
  if (owner->code == nullptr) {
    fail(ErrorKind::kInput, "text: regular expression '{}' is not supported: {} at offset {}",
         printable(pattern), pcre_message(error), offset);
  }
  std::uint32_t may_be_empty = 0;
  pcre2_pattern_info(owner->code, PCRE2_INFO_MATCHEMPTY, &may_be_empty);
  owner->may_be_empty = may_be_empty != 0;
  // Where JIT is not available the interpreter gives the same matches, slower.
  pcre2_jit_compile(owner->code, PCRE2_JIT_COMPLETE);
  code_ = std::move(owner);
}

bool is_script(std::string_view name) {
  const std::string pattern = fmt::format("\\p{{sc:{}}}", name);
  int error = 0;
  std::size_t offset = 0;
  pcre2_code* code = pcre2_compile(as_units(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                                   &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

Regex Regex::literal(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= 'a' && byte <= 'z') || byte >= 0x80;
    if (byte == 0) {
      pattern += "\\x00";
      continue;
    }
    if (!plain) pattern += '\\';
    pattern += c;
  }
  return Regex(pattern);
}

std::vector<Span> Regex::matches(std::string_view text) const {
  std::vector<Span> found;
  Scan scan(code_->code);
  Span span;
  const std::size_t end = text.size() + (code_->may_be_empty ? 1 : 0);
  for (std::size_t from = 0; from < end && scan.find(text, from, 0, span);) {
    const bool again = span.begin == span.end && !found.empty() && found.back().end == span.end;
    if (again) {
      from += from < text.size() ? character_size(text[from]) : 1;
    } else {
      found.push_back(span);
      from = span.end;
    }
  }
  return found;
}

bool Regex::matches_start(std::string_view text) const {
  Scan scan(code_->code);
  Span span;
  return scan.find(text, 0, PCRE2_ANCHORED, span);
}

}  // namespace sgpt_mi::pretokenizer

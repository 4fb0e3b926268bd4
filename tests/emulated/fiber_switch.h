#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulated {

#ifdef __SANITIZE_ADDRESS__
inline void poison(const void* at, std::size_t bytes) { __asan_poison_memory_region(at, bytes); }
inline void unpoison(const void* at, std::size_t bytes) {
  __asan_unpoison_memory_region(at, bytes);
}
#else
inline void poison(const void* /*at*/, std::size_t /*bytes*/) {}
inline void unpoison(const void* /*at*/, std::size_t /*bytes*/) {}
#endif

/// A function with a stack of its own, or the stack of whoever calls switch_to first. The address
/// sanitizer is told about every change of stacks.
class Fiber {
 public:
  /// From the beginning of `body`, which calls arrive() first and leave_for() last.
  void start(std::size_t stack_bytes, void (*body)()) {
    if (stack_ == nullptr) stack_.reset(new char[stack_bytes]);
    bytes_ = stack_bytes;
    begin_ = stack_.get();
    unpoison(begin_, bytes_);
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, body, 0);
  }

  /// Goes on in `other`; returns when something switches back to this one.
  void switch_to(Fiber& other) { change(other, &fake_stack_); }

  /// The same for good.
  void leave_for(Fiber& other) { change(other, nullptr); }

  /// To be called where a fiber's body begins.
  void arrive() { finish(nullptr); }

 private:
  void change(Fiber& other, [[maybe_unused]] void** keep) {
    other.came_from_ = this;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(keep, other.begin_, other.bytes_);
#endif
    swapcontext(&context_, &other.context_);
    finish(fake_stack_);
  }

  void finish([[maybe_unused]] void* fake_stack) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake_stack, &came_from_->begin_, &came_from_->bytes_);
#endif
  }

  ucontext_t context_{};
  std::unique_ptr<char[]> stack_;
  const void* begin_ = nullptr;
  std::size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
  Fiber* came_from_ = nullptr;
};

}  // namespace emulated

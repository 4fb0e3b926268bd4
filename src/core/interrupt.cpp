#include "sgpt_mi/core/interrupt.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

extern "C" void on_signal(int /*signal*/) {
  if (g_interrupted != 0) _exit(static_cast<int>(ErrorKind::kInterrupted));
  g_interrupted = 1;
}

/// Lets handlers run on a stack of their own. Kernels that oneDNN generates use the stack pointer
/// for other things; a handler on the thread's stack would then write into the heap.
void use_own_stack() {
  alignas(16) static std::array<char, std::size_t{1} << 16> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

}  // namespace

void install_interrupt_handlers() {
  use_own_stack();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f fails with EFBIG instead
}

bool interrupted() { return g_interrupted != 0; }

void check_interrupt() {
  if (interrupted()) fail(ErrorKind::kInterrupted, "interrupted; unfinished output was removed");
}

}  // namespace sgpt_mi

#include "sgpt_mi/core/interrupt.h"

#include <unistd.h>

#include <csignal>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

extern "C" void on_signal(int /*signal*/) {
  if (g_interrupted != 0) _exit(static_cast<int>(ErrorKind::kInterrupted));
  g_interrupted = 1;
}

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return g_interrupted != 0; }

void check_interrupt() {
  if (interrupted()) fail(ErrorKind::kInterrupted, "interrupted; unfinished output was removed");
}

}  // namespace sgpt_mi

#pragma once

namespace sgpt_mi {

/// Makes SIGINT and SIGTERM set a flag instead of ending the process. A second signal ends it at
/// once with code 130. A write beyond the process's size limit fails (EFBIG) instead of ending it
/// by SIGXFSZ. Call once, from main.
void install_interrupt_handlers();

/// Whether SIGINT or SIGTERM has arrived.
[[nodiscard]] bool interrupted();

/// Throws Error(kInterrupted) if a signal has arrived. Long loops call it between units of work,
/// so that destructors clean temporary files up.
void check_interrupt();

}  // namespace sgpt_mi

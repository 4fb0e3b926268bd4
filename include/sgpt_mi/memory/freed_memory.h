#pragma once

namespace sgpt_mi::memory {

/// By default glibc takes every block above a moving limit from the system and gives it back at
/// once; a batch's activations are then mapped and cleared anew in every layer, up to a tenth of
/// the time on small models. From here on blocks up to 32 MiB, the most that glibc allows here,
/// come from the heap, and up to 512 MiB of freed heap are kept.
void keep_freed_memory();

/// Gives the system what is freed between blocks that are in use, where it is more than those 512
/// MiB; the heap keeps it else, after some layers as much again as the run needs. To give back less
/// costs more than it gains: memory that is taken anew is cleared by the system, 5 % of a run's
/// time.
void give_back_freed_memory();

}  // namespace sgpt_mi::memory

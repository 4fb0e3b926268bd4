#pragma once

// SGPT_MI_SIMD_CLONES before a function: it is compiled for several instruction sets, and the
// machine's best one is chosen when the program starts. The functions that carry it have no
// reductions whose order could change, and contraction is off, so all versions give the same bits.
// Only for functions that no header declares: of a function declared before without the attribute
// clang 14 emits the first version alone, which stops a machine that lacks its instructions.
#if defined(__x86_64__) && defined(__linux__)
#define SGPT_MI_SIMD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SGPT_MI_SIMD_CLONES
#endif

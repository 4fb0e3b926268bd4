#pragma once

// SGPT_MI_HOST_DEVICE before a function: kernels may call it too.
#ifdef __CUDACC__
#define SGPT_MI_HOST_DEVICE __host__ __device__
#else
#define SGPT_MI_HOST_DEVICE
#endif

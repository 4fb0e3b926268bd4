#pragma once

namespace sgpt_mi::flags {

/// Version of the program; equal to the CMake project's.
inline constexpr const char* kVersion = SGPT_MI_VERSION;

}  // namespace sgpt_mi::flags

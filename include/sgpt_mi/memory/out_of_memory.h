#pragma once

#include <exception>
#include <optional>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::memory {

/// The Error(kDevice) for a failure that means that memory ran out: std::bad_alloc, and what
/// LibTorch throws for the host's or a device's memory. Nothing for every other one.
[[nodiscard]] std::optional<Error> out_of_memory(const std::exception& failure);

}  // namespace sgpt_mi::memory

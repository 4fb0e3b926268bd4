#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::fuzz {

/// The contract of every reader: any bytes are either read or refused with Error(kInput).
/// Ends the process, which libFuzzer reports, when a reader blames itself (kInternal).
template <typename Read>
int fuzz_reader(const std::uint8_t* data, std::size_t size, const Read& read) {
  try {
    read(std::as_bytes(std::span(data, size)));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) std::abort();
  }
  return 0;
}

}  // namespace sgpt_mi::fuzz

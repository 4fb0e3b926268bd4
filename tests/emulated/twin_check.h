#pragma once

#include <gtest/gtest.h>

#include "emulator.h"
#include "sgpt_mi/kernels/backend.h"
#include "support/twin_device.h"

namespace sgpt_mi::test {

/// The emulated device.
inline kernels::Backend emulated_backend() {
  kernels::Backend backend;
  backend.cuda = true;
  return backend;
}

/// Runs a test's body once for every order of the emulated threads.
template <typename Body>
void in_both_orders(const Body& body) {
  for (const auto turns : {emulated::Turns::kAscending, emulated::Turns::kDescending}) {
    SCOPED_TRACE(turns == emulated::Turns::kAscending ? "ascending turns" : "descending turns");
    emulated::set_turns(turns);
    body();
  }
  emulated::set_turns(emulated::Turns::kAscending);
}

}  // namespace sgpt_mi::test

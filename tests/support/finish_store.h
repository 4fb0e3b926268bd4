#pragma once

#include <string>

#include "sgpt_mi/formats/format.h"

namespace sgpt_mi::test {

/// Finishes a store with an empty report; bytes of its weight files as it has counted them.
inline std::int64_t finish(formats::SavingStore& store) {
  std::int64_t bytes = 0;
  store.finish([&](std::int64_t counted) {
    bytes = counted;
    return std::string("{}");
  });
  return bytes;
}

}  // namespace sgpt_mi::test

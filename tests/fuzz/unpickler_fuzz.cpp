#include "containers/unpickler.h"
#include "fuzz_target.h"

// The pickle by itself: inside a zip archive few mutations reach it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> pickle) {
    const std::string_view text(reinterpret_cast<const char*>(pickle.data()), pickle.size());
    (void)sgpt_mi::containers::unpickle_state_dict(text, "fuzz");
  });
}

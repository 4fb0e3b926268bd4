#include "sgpt_mi/memory/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>
#include <string_view>

namespace sgpt_mi::memory {
namespace {

constexpr const char* kAdvice =
    "fewer --nsamples, a shorter --seqlen or a smaller --batch_windows need less";

/// Whether LibTorch's allocator for the host says so, for which it has no type of its own
/// (c10/core/impl/alloc_cpu.cpp).
bool allocator_says(const c10::Error& error) {
  return std::string_view(error.what_without_backtrace()).find("DefaultCPUAllocator") !=
         std::string_view::npos;
}

/// Whether oneDNN says so (oneapi/dnnl/dnnl.hpp, dnnl::error): what it could describe it can also
/// make and run, unless it gets no memory for it.
bool one_dnn_says(std::string_view text) {
  return text == "could not create a primitive" || text == "could not execute a primitive" ||
         text == "could not create a memory object";
}

}  // namespace

std::optional<Error> out_of_memory(const std::exception& failure) {
  if (const auto* device = dynamic_cast<const c10::OutOfMemoryError*>(&failure)) {
    const std::string text = device->what_without_backtrace();
    return Error(ErrorKind::kDevice, fmt::format("device: out of memory; {}: {}", kAdvice,
                                                 text.substr(0, text.find('\n'))));
  }
  const auto* torch = dynamic_cast<const c10::Error*>(&failure);
  const bool host = torch != nullptr ? allocator_says(*torch)
                                     : dynamic_cast<const std::bad_alloc*>(&failure) != nullptr ||
                                           one_dnn_says(failure.what());
  if (!host) return std::nullopt;
  return Error(ErrorKind::kDevice, fmt::format("host: out of memory; {}", kAdvice));
}

}  // namespace sgpt_mi::memory

#include "mapped_regions.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::io {
namespace {

constexpr std::size_t kMappings = 512;
constexpr std::size_t kPathBytes = 500;

/// A slot is in use while `begin` is not 0; the rest was written before and is read by the handler
/// without a lock.
struct Mapping {
  std::atomic<std::uintptr_t> begin{0};
  std::size_t bytes = 0;
  std::array<char, kPathBytes> path{};
};

std::array<Mapping, kMappings> g_mappings;
std::mutex g_changes;

std::uintptr_t address_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data());
}

void say(std::string_view text) {
  // Nothing is left to do where stderr is gone too.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

/// Only calls that a signal may interrupt (signal-safety(7)).
extern "C" void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const bool of_kernel = info->si_code > 0;  // else sent by a process, and without an address
  for (const Mapping& mapping : g_mappings) {
    const std::uintptr_t begin = mapping.begin;
    if (!of_kernel || begin == 0 || address < begin || address - begin >= mapping.bytes) continue;
    say("sgpt-mi: error: io: ");
    say(mapping.path.data());
    say(" cannot be read any more: it was shortened while it was in use, or its disk failed; run "
        "again with the whole file\n");
    ::_exit(static_cast<int>(ErrorKind::kInput));
  }
  ::signal(signal, SIG_DFL);  // not one of ours: the access is repeated and ends the process
}

}  // namespace

void remember_mapping(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const std::lock_guard lock(g_changes);
  const auto free = std::find_if(g_mappings.begin(), g_mappings.end(),
                                 [](const Mapping& mapping) { return mapping.begin == 0; });
  if (free == g_mappings.end()) return;
  const std::string name = printable(path.string());
  const std::size_t length = std::min(name.size(), kPathBytes - 1);
  std::memcpy(free->path.data(), name.data(), length);
  free->path[length] = '\0';
  free->bytes = bytes.size();
  free->begin = address_of(bytes);
}

void forget_mapping(std::span<const std::byte> bytes) {
  const std::lock_guard lock(g_changes);
  const auto used = std::find_if(g_mappings.begin(), g_mappings.end(), [&](const Mapping& mapping) {
    return mapping.begin == address_of(bytes);
  });
  if (used != g_mappings.end()) used->begin = 0;
}

void install_lost_bytes_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace sgpt_mi::io

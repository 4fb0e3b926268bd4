#include <c10/util/Exception.h>
#include <malloc.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "commands.h"
#include "console.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/flags/arguments.h"

namespace {

using sgpt_mi::Error;
using sgpt_mi::ErrorKind;

/// By default glibc takes every block above a moving limit from the system and gives it back at
/// once; a batch's activations are then mapped and cleared anew in every layer, up to a tenth of
/// the time on small models. Blocks up to 32 MiB, the most that glibc allows here, come from the
/// heap instead, and up to 256 MiB of freed heap are kept.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

int fail_with(ErrorKind kind, const std::string& message) {
  std::fprintf(stderr, "sgpt-mi: error: %s\n", sgpt_mi::cli::shown(message).c_str());
  return static_cast<int>(kind);
}

void run(const std::vector<std::string>& command_line) {
  const sgpt_mi::flags::ParsedArguments parsed =
      sgpt_mi::flags::parse_arguments({command_line.begin() + 1, command_line.end()});
  if (parsed.text) {
    sgpt_mi::cli::print_out(*parsed.text);
    return;
  }
  sgpt_mi::cli::run_command(parsed.settings, command_line);
}

}  // namespace

/// The only place that turns errors into exit codes.
int main(int argc, char** argv) {
  keep_freed_memory();
  sgpt_mi::install_interrupt_handlers();
  try {
    run({argv, argv + argc});
    return 0;
  } catch (const Error& error) {
    return fail_with(error.kind(), error.what());
  } catch (const c10::OutOfMemoryError& error) {
    return fail_with(ErrorKind::kDevice,
                     "device: out of memory; fewer --nsamples, a shorter --seqlen or a smaller "
                     "--batch_windows need less: " +
                         std::string(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    return fail_with(ErrorKind::kInternal,
                     std::string("LibTorch: ") + error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return fail_with(ErrorKind::kDevice,
                     "host: out of memory; fewer --nsamples or a shorter --seqlen need less");
  } catch (const std::exception& error) {
    return fail_with(ErrorKind::kInternal, error.what());
  }
}

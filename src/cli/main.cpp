#include <c10/util/Exception.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "console.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/flags/arguments.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/memory/freed_memory.h"
#include "sgpt_mi/memory/out_of_memory.h"
#include "sgpt_mi/ranks/job.h"

namespace {

using sgpt_mi::Error;
using sgpt_mi::ErrorKind;

int fail_with(ErrorKind kind, const std::string& message) {
  std::fprintf(stderr, "sgpt-mi: error: %s\n", sgpt_mi::cli::shown_error(message).c_str());
  return static_cast<int>(kind);
}

/// What an exception of the language or of a library means to the user.
Error error_of(const std::exception& failure) {
  if (const std::optional<Error> error = sgpt_mi::memory::out_of_memory(failure)) return *error;
  if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&failure)) {
    return {ErrorKind::kInput,
            fmt::format("io: {} cannot be used: {}; check the path, its permissions and its disk",
                        files->path1().string(), files->code().message())};
  }
  if (const auto* torch = dynamic_cast<const c10::Error*>(&failure)) {
    const std::string text = torch->what_without_backtrace();
    return {ErrorKind::kInternal, "LibTorch: " + text.substr(0, text.find('\n'))};
  }
  return {ErrorKind::kInternal, failure.what()};
}

void run(const std::vector<std::string>& command_line, const sgpt_mi::ranks::World& world) {
  const sgpt_mi::flags::ParsedArguments parsed =
      sgpt_mi::flags::parse_arguments({command_line.begin() + 1, command_line.end()});
  if (!parsed.text) return sgpt_mi::cli::run_command(parsed.settings, command_line, world);
  if (world.leads()) sgpt_mi::cli::print_out(*parsed.text);
}

/// Runs the command on all ranks that were started together; the exit code.
int run_ranks(const std::vector<std::string>& command_line) {
  sgpt_mi::ranks::Job job;
  const auto fail = [&](const Error& error) {
    job.fail(error, [](const Error& shown) { fail_with(shown.kind(), shown.what()); });
    return error.exit_code();
  };
  try {
    run(command_line, job.world());
    job.finish();
    return 0;
  } catch (const Error& error) {
    return fail(error);
  } catch (const std::exception& failure) {
    return fail(error_of(failure));
  }
}

}  // namespace

/// The only place that turns errors into exit codes.
int main(int argc, char** argv) {
  sgpt_mi::memory::keep_freed_memory();
  sgpt_mi::install_interrupt_handlers();
  sgpt_mi::io::install_lost_bytes_handler();
  try {
    return run_ranks({argv, argv + argc});
  } catch (const std::exception& failure) {  // of the ranks' own start
    const auto* known = dynamic_cast<const Error*>(&failure);
    const Error error = known != nullptr ? *known : error_of(failure);
    return fail_with(error.kind(), error.what());
  }
}

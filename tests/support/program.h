#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sgpt_mi::test {

/// What a finished run of the program left.
struct ProgramResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// One run of the program under test, with its streams in files of `folder`.
class Program {
 public:
  struct Streams {
    std::string input = "/dev/null";
    std::string output;                      ///< empty: a file of its own
    std::string launcher = SGPT_MI_PROGRAM;  ///< the program that is started
  };

  Program(const std::filesystem::path& folder, std::vector<std::string> arguments)
      : Program(folder, std::move(arguments), Streams{}) {}

  Program(const std::filesystem::path& folder, std::vector<std::string> arguments, Streams streams)
      : out_(streams.output.empty() ? (folder / "stdout.txt").string() : streams.output),
        err_((folder / "stderr.txt").string()) {
    arguments.insert(arguments.begin(), streams.launcher);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) run_child(arguments, streams.input);
  }

  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  void interrupt() const { kill(pid_, SIGINT); }
  void kill_at_once() const { kill(pid_, SIGKILL); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Waits until stderr holds `text`, at most a minute; false when the program ended before.
  [[nodiscard]] bool wait_for(const std::string& text) {
    using namespace std::chrono_literals;
    for (int i = 0; i < 1200; ++i) {
      if (read(err_).find(text) != std::string::npos) return true;
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return false;
      }
      std::this_thread::sleep_for(50ms);
    }
    return false;
  }

  [[nodiscard]] ProgramResult finish() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    ProgramResult result;
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (std::filesystem::is_regular_file(out_)) result.out = read(out_);
    result.err = read(err_);
    return result;
  }

 private:
  [[noreturn]] void run_child(std::vector<std::string>& arguments, const std::string& input) const {
    setenv("HF_HUB_OFFLINE", "1", 0);  // no test asks the real Hub
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const auto redirect = [](const std::string& path, int flags, int stream) {
      const int file = open(path.c_str(), flags, 0644);
      if (file < 0 || dup2(file, stream) < 0) _exit(127);
    };
    redirect(input, O_RDONLY, STDIN_FILENO);
    redirect(out_, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err_, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }

  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::string out_;
  std::string err_;
  pid_t pid_ = -1;
};

}  // namespace sgpt_mi::test

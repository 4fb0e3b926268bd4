#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace sgpt_mi::test {

/// tests/hub/hub_server.py in a process of its own, serving `root`; its --help says what faults
/// are. It ends with this object, or when the test's process is gone.
class HubServer {
 public:
  HubServer(const TemporaryFolder& folder, const std::filesystem::path& root,
            const nlohmann::json& settings = nlohmann::json::object())
      : log_(folder.path() / "requests.log") {
    const std::string faults = folder.file("faults.json", settings.dump()).string();
    int in[2];
    int out[2];
    if (pipe(in) != 0 || pipe(out) != 0) throw std::runtime_error("pipe failed");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
      execl(SGPT_MI_PYTHON, SGPT_MI_PYTHON, SGPT_MI_SOURCE_DIR "/tests/hub/hub_server.py",
            root.c_str(), "--faults", faults.c_str(), "--log", log_.c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    std::string line;
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n') line += c;
    close(out[0]);
    if (line.empty()) ADD_FAILURE() << "tests/hub/hub_server.py did not start";
    address_ = "http://127.0.0.1:" + line;
  }
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;
  ~HubServer() {
    close(input_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] const std::string& address() const { return address_; }

  /// What was asked so far.
  [[nodiscard]] std::vector<nlohmann::json> requests() const {
    std::vector<nlohmann::json> result;
    std::istringstream lines(read_all(log_));
    for (std::string line; std::getline(lines, line);)
      result.push_back(nlohmann::json::parse(line));
    return result;
  }

 private:
  std::filesystem::path log_;
  std::string address_;
  int input_ = -1;
  pid_t pid_ = -1;
};

/// Sets a variable for the lifetime of this object.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    const char* old = std::getenv(name_.c_str());
    had_ = old != nullptr;
    if (had_) old_ = old;
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Variable() {
    if (had_) {
      setenv(name_.c_str(), old_.c_str(), 1);
    } else {
      unsetenv(name_.c_str());
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
  std::string old_;
  bool had_ = false;
};

}  // namespace sgpt_mi::test

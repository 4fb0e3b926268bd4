#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;

/// An environment variable of this process and of those it starts, for the time of a test.
class Environment {
 public:
  Environment(std::string name, const std::string& value) : name_(std::move(name)) {
    if (const char* old = std::getenv(name_.c_str())) old_ = old;
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    if (old_) {
      setenv(name_.c_str(), old_->c_str(), 1);
    } else {
      unsetenv(name_.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> old_;
};

/// A compression whose activations are 21 MB or more, saved in `out`.
Flags compression(const std::string& method, const std::filesystem::path& out) {
  return {"compress",
          demo_model().string(),
          demo_text("train.txt"),
          "--method",
          method,
          "--sparsity",
          "0.5",
          "--wbits",
          "4",
          "--nsamples",
          "160",
          "--seqlen",
          "256",
          "--eval",
          "none",
          "--device",
          "cpu",
          "--batch_windows",
          "4",
          "--save",
          out.string()};
}

/// Megabytes after `before` in a text.
double megabytes_after(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before);
  EXPECT_NE(at, std::string::npos) << text;
  if (at == std::string::npos) return 0.0;
  std::size_t used = 0;
  const std::string rest = text.substr(at + before.size());
  const double value = std::stod(rest, &used);
  EXPECT_THAT(rest.substr(used, 3), testing::AnyOf(" MB", " GB")) << text;
  return rest.compare(used, 3, " GB") == 0 ? 1000.0 * value : value;
}

class Memory : public testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(Memory, TheLeastPlanThatDoesNotFitIsRefusedByItsParts) {
  const ProgramResult result = run_program(
      folder_, compression("sparsegpt", folder_.path() / "out") + Flags{"--max_memory", "20MB"});
  EXPECT_EQ(result.exit_code, 2);
  for (const char* part : {"max_memory: 20.0 MB", "program", "workspace", "H ", "--nsamples"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "out"));
}

TEST_F(Memory, AFileOfActivationsChangesNoByte) {
  const std::filesystem::path spill = folder_.path() / "spill";
  std::filesystem::create_directory(spill);
  const Environment temporary("TMPDIR", spill.string());
  const std::filesystem::path plain = folder_.path() / "plain";
  const std::filesystem::path spilled = folder_.path() / "spilled";
  ASSERT_EQ(run_program(folder_, compression("sparsegpt", plain)).exit_code, 0);

  const ProgramResult refused =
      run_program(folder_, compression("sparsegpt", spilled) + Flags{"--max_memory", "20MB"});
  const double least = megabytes_after(refused.err, "takes ");
  const ProgramResult result = run_program(
      folder_, compression("sparsegpt", spilled) +
                   Flags{"--max_memory", std::to_string(static_cast<int>(least) + 8) + "MB"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("in a file in " + spill.string()));
  EXPECT_EQ(read_all(spilled / "model.safetensors"), read_all(plain / "model.safetensors"));
  EXPECT_TRUE(std::filesystem::is_empty(spill));
  const auto peak = nlohmann::json::parse(read_all(spilled / "sgpt_mi.json")).at("peak_bytes");
  EXPECT_GT(peak.at("host"), 0);
  EXPECT_LE(peak.at("host"), peak.at("planned").at("host"));
}

TEST_F(Memory, AGpuThatIsNotHereCanBePlannedForButNotUsed) {
  Flags arguments = compression("mi", folder_.path() / "out") + Flags{"--device", "cuda"};
  const ProgramResult refused = run_program(folder_, arguments);
  if (refused.exit_code == 0) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_EQ(refused.exit_code, 5);
  arguments[0] = "plan";
  const ProgramResult open = run_program(folder_, arguments);
  ASSERT_EQ(open.exit_code, 0) << open.err;
  EXPECT_THAT(open.err, HasSubstr("no CUDA device is here"));
  EXPECT_THAT(open.err, HasSubstr("GPU at most"));
  const ProgramResult capped =
      run_program(folder_, arguments + Flags{"--max_memory", "cuda:20GiB"});
  ASSERT_EQ(capped.exit_code, 0) << capped.err;
  EXPECT_THAT(capped.err, testing::Not(HasSubstr("no CUDA device is here")));
  const ProgramResult tight = run_program(folder_, arguments + Flags{"--max_memory", "10MB"});
  EXPECT_EQ(tight.exit_code, 2);
  EXPECT_THAT(tight.err, HasSubstr("GPU memory"));
}

}  // namespace
}  // namespace sgpt_mi::test

// The scripts of `sgpt-mi completion`, read by the shells themselves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

/// What a shell command prints on stdout, line by line.
std::vector<std::string> lines_of(const TemporaryFolder& folder, const std::string& command) {
  const std::string out = (folder.path() / "lines.txt").string();
  EXPECT_EQ(std::system((command + " > " + out).c_str()), 0) << command;
  std::ifstream stream(out);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool is_installed(const std::string& shell) {
  return std::system(("command -v " + shell + " > /dev/null").c_str()) == 0;
}

std::string script_for(const TemporaryFolder& folder, const std::string& shell) {
  const ProgramResult result = run_program(folder, {"completion", shell});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return folder.file("script." + shell, result.out).string();
}

/// What bash offers for the last of `words`; the first line tells how it completes paths.
std::vector<std::string> bash_offers(const TemporaryFolder& folder, const std::string& words) {
  const auto script = folder.file("offers.sh", R"(set -eu
source <(")" SGPT_MI_PROGRAM R"(" completion bash)
compopt() { printf '%s\n' "$*"; }
COMP_WORDS=()" + words + R"()
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_sgpt_mi
[[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
)");
  return lines_of(folder, "bash " + script.string());
}

TEST(Completion, BashRegistersTheProgram) {
  const TemporaryFolder folder;
  const std::string script = script_for(folder, "bash");
  EXPECT_THAT(lines_of(folder, "bash -c '. " + script + " && complete -p sgpt-mi'"),
              ElementsAre("complete -F _sgpt_mi sgpt-mi"));
}

TEST(Completion, BashOffersSubcommandsFlagsAndValues) {
  const TemporaryFolder folder;
  const auto offers = [&](const std::string& words) { return bash_offers(folder, words); };
  EXPECT_THAT(offers("sgpt-mi ''"), IsSupersetOf({"compress", "plan", "completion", "--help"}));
  EXPECT_THAT(offers("sgpt-mi ex"), ElementsAre("export"));
  EXPECT_THAT(offers("sgpt-mi compress m c4 --spars"),
              ElementsAre("--sparsity", "--sparsity_range"));
  EXPECT_THAT(offers("sgpt-mi inspect m --spars"), IsEmpty());
  EXPECT_THAT(offers("sgpt-mi compress m c4 --target-s"), ElementsAre("--target_stored_bits"));
  EXPECT_THAT(offers("sgpt-mi compress --help-"), ElementsAre("--help-all"));
  EXPECT_THAT(offers("sgpt-mi plan m c4 --method ma"), ElementsAre("magnitude"));
  EXPECT_THAT(offers("sgpt-mi plan m c4 --method = ma"), ElementsAre("magnitude"));
  EXPECT_THAT(offers("sgpt-mi plan m c4 --method ="), IsSupersetOf({"rd", "magnitude"}));
  EXPECT_THAT(offers("sgpt-mi plan m c4 --bit-allocation b"), ElementsAre("budget"));
  EXPECT_THAT(offers("sgpt-mi plan m c4 --nsamples ''"), IsEmpty());
  EXPECT_THAT(offers("sgpt-mi completion ''"), ElementsAre("bash", "zsh", "fish"));
}

TEST(Completion, BashLeavesPathsToReadline) {
  const TemporaryFolder folder;
  const auto offers = [&](const std::string& words) { return bash_offers(folder, words); };
  EXPECT_THAT(offers("sgpt-mi compress ''"), ElementsAre("-o default"));
  EXPECT_THAT(offers("sgpt-mi compress m c4 --sym ''"), ElementsAre("-o default"));
  EXPECT_THAT(offers("sgpt-mi eval m --report ''"), ElementsAre("-o default"));
  EXPECT_THAT(offers("sgpt-mi eval m --eval n"), ElementsAre("-o default", "none"));
  EXPECT_THAT(offers("sgpt-mi eval m --data-dir ''"), ElementsAre("-o dirnames"));
  EXPECT_THAT(offers("sgpt-mi export m -o ''"), ElementsAre("-o default"));
}

TEST(Completion, ZshReadsTheScript) {
  if (!is_installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  const TemporaryFolder folder;
  EXPECT_THAT(lines_of(folder, "zsh -n " + script_for(folder, "zsh") + " 2>&1"), IsEmpty());
}

TEST(Completion, FishOffersSubcommandsFlagsAndValues) {
  if (!is_installed("fish")) GTEST_SKIP() << "fish is not installed";
  const TemporaryFolder folder;
  const std::string script = script_for(folder, "fish");
  EXPECT_THAT(lines_of(folder, "fish -n " + script + " 2>&1"), IsEmpty());
  const auto offers = [&](const std::string& typed) {
    return lines_of(folder, "HOME=" + folder.path().string() + " fish --no-config -c 'source " +
                                script + "; complete -C \"sgpt-mi " + typed + "\"'");
  };
  EXPECT_THAT(offers("ex"),
              ElementsAre(testing::StartsWith("export\twrite a compressed model as dense")));
  EXPECT_THAT(offers("compress m c4 --target_s"),
              ElementsAre(HasSubstr("--target_stored_bits\tbits a weight on disk")));
  EXPECT_THAT(offers("plan m c4 --method ma"), ElementsAre(HasSubstr("magnitude")));
  EXPECT_THAT(offers("inspect m --sparsity"), IsEmpty());
  EXPECT_THAT(offers("completion "), testing::UnorderedElementsAre("bash", "zsh", "fish"));
}

}  // namespace
}  // namespace sgpt_mi::test

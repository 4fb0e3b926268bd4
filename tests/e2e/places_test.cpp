#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

// Where results go, and what must not be lost there.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;
namespace fs = std::filesystem;

class Places : public testing::Test {
 protected:
  /// A plain compression; its result.
  ProgramResult compress(const std::string& model, const Flags& flags) const {
    return run_program(folder_, small_compression(model) +
                                    Flags{"--method", "sparsegpt", "--eval", "none"} + flags);
  }

  void expect_refused(const ProgramResult& result, int exit_code, const char* words) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(words));
  }

  TemporaryFolder folder_;
};

TEST_F(Places, ASecondSaveDoesNotTakeWithItWhatOthersPutThere) {
  const fs::path out = folder_.path() / "out";
  const Flags save{"--save", out.string(), "--report", (out / "report.json").string()};
  ASSERT_EQ(compress(demo_model().string(), save).exit_code, 0) << "--report in a new folder";
  ASSERT_EQ(compress(demo_model().string(), save).exit_code, 0) << "the same command again";
  EXPECT_TRUE(nlohmann::json::parse(read_all(out / "report.json")).contains("layers"));
  expect_refused(compress(demo_model().string(), {"--save", out.string()}), 2, "report.json");
  static_cast<void>(folder_.file("out/notes.md", "mine"));
  expect_refused(compress(demo_model().string(), save), 2, "holds notes.md beside");
  expect_refused(run_program(folder_, {"export", demo_model().string(), "-o", out.string()}), 2,
                 "output: ");
  fs::remove(out / "notes.md");
  fs::copy(demo_model(), out / "base", fs::copy_options::recursive);
  expect_refused(compress((out / "base").string(), save), 2, "holds base beside");
  EXPECT_TRUE(fs::exists(out / "base" / "model.safetensors"));
}

TEST_F(Places, ResultsDoNotTakeEachOthersPlace) {
  const std::string out = (folder_.path() / "out").string();
  const std::string model = demo_model().string();
  expect_refused(compress(model, {"--save", out, "--report", out + "/model.safetensors"}), 2,
                 "is a file of the model that --save writes");
  expect_refused(compress(model, {"--save", out, "--record", out + "/record.html"}), 3,
                 "not a writable folder");
  const std::string one = (folder_.path() / "one").string();
  expect_refused(compress(model, {"--report", one, "--trace", one}), 2, "give two names");
  const fs::path text = folder_.file("a.txt", read_all(demo_text("train.txt")));
  expect_refused(
      run_program(folder_, {"compress", model, text.string() + ":4," + text.string() + ":4",
                            "--wbits", "4", "--report", text.string()}),
      2, "is a file that this command reads");
}

TEST_F(Places, AReportMayGoToTheStandardOutput) {
  const fs::path out = folder_.path() / "stdout.txt";
  const ProgramResult result =
      run_program(folder_, {"inspect", demo_model().string(), "--report", "/dev/stdout"},
                  {.input = "/dev/null", .output = out.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string text = read_all(out);
  EXPECT_THAT(text, HasSubstr("model.decoder.layers.0"));
  EXPECT_TRUE(nlohmann::json::accept(text.substr(text.find("\n{")))) << text;
}

TEST_F(Places, NoResultTakesThePlaceOfWhatTheCommandReads) {
  const fs::path model = copy_demo(folder_);
  const std::string weights = read_all(model / "model.safetensors");
  for (const char* flag : {"--report", "--record", "--trace"}) {
    expect_refused(compress(model.string(), {flag, (model / "model.safetensors").string()}), 2,
                   "is a file that this command reads");
    EXPECT_EQ(read_all(model / "model.safetensors"), weights);
  }
  const fs::path text = folder_.file("a,b.txt", read_all(demo_text("test.txt")));
  const Flags evaluation = small_evaluation(model.string()) + Flags{"--eval", text.string()};
  EXPECT_EQ(run_program(folder_, evaluation).exit_code, 0) << "a comma in a file's name";
  expect_refused(run_program(folder_, evaluation + Flags{"--report", text.string()}), 2,
                 "is a file that this command reads");
  EXPECT_EQ(
      run_program(folder_, evaluation + Flags{"--report", (model / "r.json").string()}).exit_code,
      0)
      << "a new file beside the model";
}

TEST_F(Places, PlacesThatCannotBeWrittenAreFoundBeforeTheWork) {
  const std::string model = demo_model().string();
  const std::string file = folder_.file("file", "").string();
  fs::create_symlink("nowhere", folder_.path() / "link");
  expect_refused(compress(model, {"--plots", file}), 3, "plots: ");
  expect_refused(compress(model, {"--save", (folder_.path() / "link").string()}), 3,
                 "a link to nothing");
  expect_refused(compress(model, {"--resume"}), 2, "without --save");
  for (const char* flag : {"--sparsity", "--save", "--report", "--seqlen"}) {
    expect_refused(compress(model, {flag, ""}), 2, "has an empty value");
  }
}

TEST_F(Places, AFileBeyondTheSizeLimitIsASentence) {
  const std::string command = "ulimit -f 100; exec '" SGPT_MI_PROGRAM "' export '" +
                              demo_model().string() + "' -o '" + (folder_.path() / "out").string() +
                              "' 2> '" + (folder_.path() / "err").string() + "'";
  const fs::path script = folder_.file("limit.sh", command);
  const int status = std::system(("bash " + script.string()).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_THAT(read_all(folder_.path() / "err"), HasSubstr("size limit"));
  EXPECT_FALSE(fs::exists(folder_.path() / "out"));
}

TEST_F(Places, AModelWithoutASoundHeadIsNotSaved) {
  const fs::path model = copy_demo(folder_);
  std::string bytes = read_all(model / "model.safetensors");
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  const auto header = nlohmann::json::parse(bytes.substr(8, size));
  const std::size_t at =
      header.at("model.decoder.final_layer_norm.weight").at("data_offsets").at(0);
  bytes.replace(8 + size + at, 4, "\xff\xff\xff\xff");  // NaN in every type of float
  static_cast<void>(folder_.file("model/model.safetensors", bytes));
  const fs::path out = folder_.path() / "out";
  expect_refused(compress(model.string(), {"--save", out.string()}), 4,
                 "model.decoder.final_layer_norm.weight: NaN");
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace sgpt_mi::test

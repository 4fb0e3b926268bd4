#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "sgpt_mi/formats/checkpoint.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::formats {
namespace {

using test::input_error;
using test::TemporaryFolder;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A Hugging Face cache in a temporary folder, pointed to by HF_HOME.
class LocateModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("HF_HUB_CACHE");
    ::setenv("HF_HOME", folder_.path().c_str(), 1);
    ::setenv("HF_HUB_OFFLINE", "1", 1);
  }
  void TearDown() override {
    ::unsetenv("HF_HOME");
    ::unsetenv("HF_HUB_OFFLINE");
  }

  TemporaryFolder folder_;
};

TEST_F(LocateModelTest, FolderAndGgufFileAreTakenAsTheyAre) {
  const ModelLocation here = locate_model(folder_.path().string());
  EXPECT_EQ(here.path, folder_.path());
  EXPECT_FALSE(here.is_gguf);
  const auto gguf = folder_.file("m.gguf", "GGUF....");
  EXPECT_TRUE(locate_model(gguf.string()).is_gguf);
  const auto other = folder_.file("m.bin", "PK..");
  EXPECT_THAT(input_error([&] { (void)locate_model(other.string()); }), HasSubstr("not GGUF"));
}

TEST_F(LocateModelTest, TheOnlyGgufModelOfAFolderIsTaken) {
  const auto in = [&](const char* name) { return (folder_.path() / name).string(); };
  (void)folder_.file("a/README.md", "");
  (void)folder_.file("a/mmproj-F16.gguf", "GGUF....");
  (void)folder_.file("a/tiny.imatrix.gguf", "GGUF....");
  const auto model = folder_.file("a/tiny-Q8_0.gguf", "GGUF....");
  EXPECT_EQ(locate_model(in("a")).path, model);
  EXPECT_TRUE(locate_model(in("a")).is_gguf);
  (void)folder_.file("a/config.json", "{}");
  EXPECT_TRUE(locate_model(in("a")).is_gguf) << "a description without weights beside it";
  (void)folder_.file("a/model.safetensors", "");
  EXPECT_FALSE(locate_model(in("a")).is_gguf);

  const auto second = folder_.file("b/m-00002-of-00002.gguf", "GGUF....");
  const auto first = folder_.file("b/m-00001-of-00002.gguf", "GGUF....");
  EXPECT_EQ(locate_model(in("b")).path, first) << "parts of one model";
  EXPECT_EQ(locate_model(second.string()).path, first);
  (void)folder_.file("b/m-Q4_K.gguf", "GGUF....");
  EXPECT_THAT(input_error([&] { (void)locate_model(in("b")); }),
              AllOf(HasSubstr("several GGUF models: m-00001-of-00002.gguf, m-Q4_K.gguf;"),
                    HasSubstr("pass the path")));

  const auto below = folder_.file("c/Q6_K/m.gguf", "GGUF....");
  EXPECT_EQ(locate_model(in("c")).path, below);
  EXPECT_TRUE(locate_model(in("c")).is_found);
  EXPECT_FALSE(locate_model(in("b/m-00001-of-00002.gguf")).is_found);
  (void)folder_.file("c/Q8_0/m.gguf", "GGUF....");
  EXPECT_THAT(input_error([&] { (void)locate_model(in("c")); }),
              HasSubstr("Q6_K/m.gguf, Q8_0/m.gguf"));

  (void)folder_.file("d/dense/config.json", "{}");
  (void)folder_.file("d/small/m.gguf", "GGUF....");
  EXPECT_FALSE(locate_model(in("d")).is_gguf) << "which of the two is not known";

  const auto cached = folder_.file("hub/models--o--n-GGUF/snapshots/abc/n-Q4_0.gguf", "GGUF....");
  (void)folder_.file("hub/models--o--n-GGUF/refs/main", "abc");
  EXPECT_EQ(locate_model("o/n-GGUF").path, cached);
}

TEST_F(LocateModelTest, EndingsMayBeInCapitals) {
  (void)folder_.file("a/MMPROJ-X.GGUF", "GGUF....");
  const auto model = folder_.file("a/X.GGUF", "GGUF....");
  EXPECT_EQ(locate_model((folder_.path() / "a").string()).path, model);
  const auto first = folder_.file("b/Y-00001-of-00002.GGUF", "GGUF....");
  EXPECT_EQ(locate_model((folder_.path() / "b/Y.GGUF").string()).path, first);
}

TEST_F(LocateModelTest, AdaptersAreToldFromModels) {
  (void)folder_.file("l/adapter_config.json", R"({"base_model_name_or_path": "org/base"})");
  (void)folder_.file("l/adapter_model.safetensors", "");
  EXPECT_THAT(input_error([&] { (void)locate_model((folder_.path() / "l").string()); }),
              AllOf(HasSubstr("holds an adapter"), HasSubstr("base model org/base")));
}

TEST_F(LocateModelTest, RandomShapesAreNowhereOnDisk) {
  const ModelLocation random = locate_model("random:opt-125m");
  EXPECT_TRUE(random.is_random);
  EXPECT_EQ(random.path, "random:opt-125m");
  EXPECT_FALSE(locate_model(folder_.path().string()).is_random);
}

TEST_F(LocateModelTest, HubIdResolvesThroughRefsMain) {
  const auto config = folder_.file("hub/models--org--name/snapshots/abc123/config.json", "{}");
  (void)folder_.file("hub/models--org--name/snapshots/abc123/model.safetensors", "");
  (void)folder_.file("hub/models--org--name/refs/main", "abc123\n");
  EXPECT_EQ(locate_model("org/name").path, config.parent_path());
  EXPECT_EQ(locate_model("org/name@abc123").path, config.parent_path());
  ::setenv("HF_HUB_CACHE", (folder_.path() / "hub").c_str(), 1);
  ::setenv("HF_HOME", "/nowhere", 1);
  EXPECT_EQ(locate_model("org/name").path, config.parent_path());
  ::unsetenv("HF_HUB_CACHE");
}

TEST_F(LocateModelTest, AGgufOfTheHubIsAFile) {
  const auto gguf = folder_.file("hub/models--org--g/snapshots/a/m-Q4_0.gguf", "GGUF");
  (void)folder_.file("hub/models--org--g/snapshots/a/m-Q8_0.gguf", "GGUF");
  (void)folder_.file("hub/models--org--g/refs/main", "a");
  EXPECT_EQ(locate_model("org/g:Q4_0").path, gguf);
  EXPECT_TRUE(locate_model("org/g:m-Q4_0.gguf").is_gguf);
}

TEST_F(LocateModelTest, BrokenCacheEntriesAreExplained) {
  (void)folder_.file("hub/models--org--a/blobs/x", "");
  EXPECT_THAT(input_error([] { (void)locate_model("org/a"); }), HasSubstr("not whole"));
  (void)folder_.file("hub/models--org--b/refs/main", "abc");
  EXPECT_THAT(input_error([] { (void)locate_model("org/b"); }), HasSubstr("models--org--b"));
  (void)folder_.file("hub/models--org--c/refs/main", "..");
  EXPECT_THAT(input_error([] { (void)locate_model("org/c"); }), HasSubstr("revision \"..\""));
}

TEST_F(LocateModelTest, OnlyTheHubHasRevisions) {
  const std::string here = folder_.path().string();
  EXPECT_THAT(test::error_of(ErrorKind::kUsage, [&] { (void)locate_model(here + "@v1"); }),
              HasSubstr("--revision is for Hub ids"));
}

TEST_F(LocateModelTest, UnknownModelListsThePlacesTried) {
  EXPECT_THAT(input_error([] { (void)locate_model("org/none"); }),
              AllOf(HasSubstr("org/none"), HasSubstr("hub/models--org--none")));
  EXPECT_THAT(input_error([] { (void)locate_model("/no/such/folder"); }),
              HasSubstr("no such folder or file"));
  EXPECT_THAT(input_error([] { (void)locate_model("../x"); }), HasSubstr("not a Hub id"));
  const std::string too_long(5000, 'x');
  EXPECT_THAT(input_error([&] { (void)locate_model(too_long); }), HasSubstr("not found"));
}

}  // namespace
}  // namespace sgpt_mi::formats

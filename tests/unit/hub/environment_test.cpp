#include "hub/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "sgpt_mi/hub/hub.h"
#include "support/hub_server.h"

namespace sgpt_mi::hub {
namespace {

using test::error_of;
using test::Variable;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Without any variable of the Hub, and with a home.
class Environment : public ::testing::Test {
 protected:
  Environment() {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_TOKEN",
          "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_ENDPOINT",
          "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT"}) {
      set(name, "");
    }
    set("HOME", folder_.path().string());
  }
  void set(const std::string& name, const std::string& value) {
    variables_.emplace_back(name, value);
  }

  test::TemporaryFolder folder_;
  std::deque<Variable> variables_;
};

// The order of huggingface_hub/constants.py (1.x).
TEST_F(Environment, TheCacheIsWhereHuggingfaceHubHasIt) {
  const std::string home = folder_.path().string();
  EXPECT_EQ(cache_folder(), home + "/.cache/huggingface/hub");
  set("XDG_CACHE_HOME", "~/x");
  EXPECT_EQ(cache_folder(), home + "/x/huggingface/hub");
  set("HF_HOME", "$HOME/y");
  EXPECT_EQ(cache_folder(), home + "/y/hub");
  set("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(cache_folder(), "/old");
  set("HF_HUB_CACHE", "~");
  EXPECT_EQ(cache_folder(), home);
}

TEST_F(Environment, PathsAreExpandedLikeCPythonDoes) {
  set("A_1", "x");
  EXPECT_EQ(expand_path("/$A_1/${A_1}b/$A_1.c/~"), "/x/xb/x.c/~");
  EXPECT_EQ(expand_path("$NOT_SET_AT_ALL/${A_1"), "$NOT_SET_AT_ALL/${A_1");
  EXPECT_EQ(expand_path("$"), "$");
  EXPECT_EQ(expand_path("~other/x"), "~other/x");
}

TEST_F(Environment, TheTokenComesFromVariablesThenFiles) {
  EXPECT_EQ(token(), "");
  (void)folder_.file(".cache/huggingface/token", "hf_file\n");
  EXPECT_EQ(token(), "hf_file");
  set("HF_TOKEN_PATH", folder_.file("mine", " hf_mine\r\n").string());
  EXPECT_EQ(token(), "hf_mine");
  set("HUGGING_FACE_HUB_TOKEN", "hf_old");
  EXPECT_EQ(token(), "hf_old");
  set("HF_TOKEN", "hf_new");
  EXPECT_EQ(token(), "hf_new");
  set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  EXPECT_EQ(token(), "");
}

TEST_F(Environment, ATokenThatWouldBreakAHeaderIsRefusedUnseen) {
  set("HF_TOKEN", "secret\x01");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { (void)token(); }),
              AllOf(HasSubstr("HF_TOKEN"), Not(HasSubstr("secret"))));
}

TEST_F(Environment, TheEndpointIsAnAddress) {
  EXPECT_EQ(endpoint(), "https://huggingface.co");
  set("HF_ENDPOINT", "http://mirror.org/hub//");
  EXPECT_EQ(endpoint(), "http://mirror.org/hub");
  set("HF_ENDPOINT", "mirror.org");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { (void)endpoint(); }), HasSubstr("HF_ENDPOINT"));
}

TEST_F(Environment, OfflineIsAWordForYes) {
  EXPECT_FALSE(is_offline());
  set("HF_HUB_OFFLINE", "0");
  EXPECT_FALSE(is_offline());
  set("HF_HUB_OFFLINE", "true");
  EXPECT_TRUE(is_offline());
  set("HF_HUB_OFFLINE", "");
  set("TRANSFORMERS_OFFLINE", "1");
  EXPECT_TRUE(is_offline());
}

TEST_F(Environment, SilenceIsSeconds) {
  EXPECT_EQ(silence_seconds(), 30);
  set("HF_HUB_DOWNLOAD_TIMEOUT", "7");
  EXPECT_EQ(silence_seconds(), 7);
}

}  // namespace
}  // namespace sgpt_mi::hub

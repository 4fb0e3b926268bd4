// What 401, 403 and 404 mean, with the codes that the Hub sends (huggingface_hub/utils/_http.py).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/refusals.h"
#include "hub_fixture.h"

namespace sgpt_mi::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Refusal : public HubTest {
 protected:
  std::string message_of(const std::string& name) const {
    const std::size_t before = server_->requests().size();
    const std::string message = input_error([&] { (void)fetch(name); });
    for (std::size_t i = before + 1; i < server_->requests().size(); ++i) {
      EXPECT_NE(server_->requests()[i]["path"], server_->requests()[i - 1]["path"]) << "a retry";
    }
    return message;
  }
};

TEST_F(Refusal, AnUnknownIdMayBeMisspeltOrPrivate) {
  serve();
  EXPECT_THAT(message_of("org/tinny"),
              AllOf(HasSubstr("'org/tinny'"), HasSubstr("spelling"), HasSubstr("HF_TOKEN")));
}

TEST_F(Refusal, APrivateOneNeedsItsToken) {
  serve({{"private", {"org/tiny"}}, {"token", "hf_good"}});
  EXPECT_THAT(message_of("org/tiny"), HasSubstr("a private one needs HF_TOKEN"));
  set("HF_TOKEN", "hf_bad");
  EXPECT_THAT(message_of("org/tiny"),
              AllOf(HasSubstr("wrong or expired"), Not(HasSubstr("hf_bad"))));
  set("HF_TOKEN", "hf_good");
  EXPECT_EQ(read_all(fetch() / "config.json"), "{}");
}

TEST_F(Refusal, AGatedOneHasALicenceToAccept) {
  serve({{"gated", {"org/tiny"}}, {"token", "hf_good"}});
  EXPECT_THAT(message_of("org/tiny"),
              AllOf(HasSubstr("accept its licence at " + server_->address() + "/org/tiny"),
                    HasSubstr("HF_TOKEN")));
  set("HF_TOKEN", "hf_bad");
  EXPECT_THAT(message_of("org/tiny"), HasSubstr("account has no access"));
}

TEST_F(Refusal, ARevisionIsNamed) {
  serve();
  EXPECT_THAT(message_of("org/tiny@v2"),
              AllOf(HasSubstr("no revision 'v2'"), HasSubstr("--revision")));
}

TEST_F(Refusal, AnswersWithoutACodeAreExplainedToo) {
  const auto message = [](long status, const std::string& file) {
    hub::Answer answer;
    answer.status = status;
    hub::Conduct conduct;
    conduct.endpoint = "https://mirror.org";
    return input_error([&] {
      hub::explain_refusal({{hub::Kind::kDataset, "a/b"}, "main", file}, answer, conduct);
    });
  };
  EXPECT_THAT(message(403, ""), HasSubstr("https://mirror.org/datasets/a/b"));
  EXPECT_THAT(message(404, ""), HasSubstr("spelling"));
  EXPECT_THAT(message(404, "x.gz"), HasSubstr("no file \"x.gz\""));
  EXPECT_THAT(message(418, ""), HasSubstr("answers 418"));
}

TEST_F(Refusal, TheAnswersOwnWordsAreShown) {
  hub::Answer answer;
  answer.status = 403;
  answer.headers["x-error-message"] = "Accept\x1b the terms";
  hub::Question question{{hub::Kind::kModel, "a/b"}, "main", "x.gguf"};
  const auto message = [&] {
    return input_error([&] { hub::explain_refusal(question, answer, {}); });
  };
  EXPECT_THAT(message(), AllOf(HasSubstr("is gated"), HasSubstr(R"("Accept\x1B the terms")")));
  answer.redirects = 1;
  EXPECT_THAT(message(), Not(HasSubstr("is gated")));
  answer.headers["x-error-code"] = "GatedRepo";
  EXPECT_THAT(message(), HasSubstr("is gated")) << "a renamed repository";
}

}  // namespace
}  // namespace sgpt_mi::test

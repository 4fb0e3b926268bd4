// Downloads from a server of the tests' own: tests/hub/hub_server.py.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <future>

#include "hub_fixture.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/interrupt.h"

namespace sgpt_mi::test {

std::string HubTest::sha256_of(const std::string& text) { return sha256_hex(text); }

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Download : public HubTest {
 protected:
  [[nodiscard]] std::string fetched_weights() const {
    return read_all(fetch() / "model.safetensors");
  }
  [[nodiscard]] bool has_blob() const { return fs::exists(cache().blob(weights_sha256_)); }
  /// What an earlier try left.
  void leave(const std::string& bytes) const {
    (void)folder_.file("hub/models--org--tiny/blobs/" + weights_sha256_ + ".incomplete", bytes);
  }
};

TEST_F(Download, FillsTheCacheOnceAndTakesOnlyWhatIsNeeded) {
  serve();
  const fs::path snapshot = fetch();
  EXPECT_EQ(read_all(snapshot / "config.json"), "{}");
  EXPECT_EQ(read_all(snapshot / "model.safetensors"), weights_);
  EXPECT_EQ(fs::read_symlink(snapshot / "model.safetensors"), "../../blobs/" + weights_sha256_);
  EXPECT_EQ(read_all(cache().folder() / "refs/main"), snapshot.filename());
  EXPECT_FALSE(fs::exists(snapshot / "README.md"));
  for (const auto& entry : fs::directory_iterator(cache().folder() / "blobs")) {
    EXPECT_EQ(entry.path().extension(), "") << "left over";
  }
  const std::size_t asked = server_->requests().size();
  EXPECT_EQ(fetch(), snapshot);
  EXPECT_EQ(server_->requests().size(), asked) << "a whole snapshot needs no connection";
}

TEST_F(Download, ShardsFollowTheirIndex) {
  publish("models/org/big/main/config.json", "{}");
  publish("models/org/big/main/tokenizer.json", "{}");
  publish("models/org/big/main/model.safetensors.index.json",
          R"({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})");
  publish("models/org/big/main/m-1.safetensors", "one");
  publish("models/org/big/main/m-2.safetensors", "two");
  publish("models/org/big/main/m-3.safetensors", "of no use");
  serve();
  const fs::path snapshot = fetch("org/big");
  EXPECT_EQ(read_all(snapshot / "m-2.safetensors"), "two");
  EXPECT_FALSE(fs::exists(snapshot / "m-3.safetensors"));
}

TEST_F(Download, AGgufIsNamedByItsType) {
  publish("models/org/g/main/sub/g-Q4_0.gguf", "GGUF4");
  publish("models/org/g/main/g-Q8_0.gguf", "GGUF8");
  serve();
  EXPECT_EQ(read_all(fetch("org/g:q4_0")), "GGUF4");
  EXPECT_EQ(read_all(fetch("org/g:g-Q8_0.gguf")), "GGUF8");
  EXPECT_THAT(input_error([] { (void)fetch("org/g:Q2_K"); }), HasSubstr("g-Q8_0.gguf"));
}

TEST_F(Download, RevisionsHaveRefsOfTheirOwn) {
  publish("models/org/tiny/refs%2Fpr%2F1/config.json", "{\"pr\": 1}");
  publish("models/org/tiny/refs%2Fpr%2F1/tokenizer.json", "{}");
  publish("models/org/tiny/refs%2Fpr%2F1/pytorch_model.bin", "PK");
  serve();
  const fs::path pull_request = fetch("org/tiny@refs/pr/1");
  EXPECT_EQ(read_all(pull_request / "config.json"), "{\"pr\": 1}");
  EXPECT_EQ(read_all(cache().folder() / "refs/refs/pr/1"), pull_request.filename());
  EXPECT_EQ(fetch("org/tiny@" + pull_request.filename().string()), pull_request);
  EXPECT_NE(fetch(), pull_request);
}

TEST_F(Download, ACutLineGoesOnWhereItEnded) {
  serve_faults({"cut:40000", "cut:0", "503", "cut:1"});
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_THAT(ranges(),
              ElementsAre("", "bytes=40000-", "bytes=40000-", "bytes=40000-", "bytes=40001-"));
}

TEST_F(Download, ALineThatBringsBytesIsNeverGivenUp) {
  serve_faults(nlohmann::json(std::vector<std::string>(9, "cut:10000")));
  EXPECT_EQ(fetched_weights(), weights_);
}

TEST_F(Download, ASilentLineCountsAsCut) {
  set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
  serve_faults({"stall:10"});
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_THAT(ranges(), ElementsAre("", "bytes=10-"));
}

TEST_F(Download, WhatAnEarlierTryLeftIsTakenUp) {
  serve();
  leave(weights_.substr(0, 70'000));
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_THAT(ranges(), ElementsAre("bytes=70000-"));
}

TEST_F(Download, AWholeLeftoverNeedsNoBytes) {
  serve();
  leave(weights_);
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_TRUE(ranges().empty());
}

TEST_F(Download, AServerWithoutRangesStartsOver) {
  serve({{"no_ranges", true}});
  leave(weights_.substr(0, 70'000));
  EXPECT_EQ(fetched_weights(), weights_);
}

TEST_F(Download, LeftoversThatAreWrongOrTooLongAreThrownAway) {
  serve();
  leave(std::string(70'000, 'x'));
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_THAT(ranges(), ElementsAre("bytes=70000-", ""));
  fs::remove_all(folder_.path() / "hub");
  leave(weights_ + "more");
  EXPECT_EQ(fetched_weights(), weights_);
}

TEST_F(Download, WrongBytesAreFetchedAgainAndGetNoName) {
  serve_faults({"wrong"});
  EXPECT_EQ(fetched_weights(), weights_);
  fs::remove_all(folder_.path() / "hub");
  serve_faults({"wrong", "wrong"});
  EXPECT_THAT(input_error([] { (void)fetch(); }),
              AllOf(HasSubstr("org/tiny: model.safetensors"), HasSubstr(weights_sha256_)));
  EXPECT_FALSE(has_blob());
  EXPECT_EQ(fs::file_size(cache().incomplete(weights_sha256_)), 0U);
  EXPECT_FALSE(cache().find_snapshot("main")) << "no ref to half a snapshot";
}

TEST_F(Download, SmallFilesHaveGitsHash) {
  serve({{"faults", {{"config.json", {"wrong", "wrong"}}}}});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("config.json: the hash"));
}

TEST_F(Download, MoreBytesThanAnnouncedAreRefused) {
  serve_faults({"long"});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("longer than the 100003 bytes"));
  EXPECT_FALSE(has_blob());
}

TEST_F(Download, RetryAfterIsKept) {
  serve_faults({"429:1"});
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST_F(Download, AServerThatGoesOnFailingIsGivenUp) {
  serve_faults(nlohmann::json(std::vector<std::string>(6, "503")));
  EXPECT_THAT(input_error([] { (void)fetch(); }),
              AllOf(HasSubstr("it answers 503 (6 tries)"), Not(HasSubstr("secret"))));
}

TEST_F(Download, AStorageThatRefusesIsNoGatedModel) {
  serve_faults({"403", "404"});
  for (const char* status : {"answers 403", "answers 404"}) {
    EXPECT_THAT(input_error([] { (void)fetch(); }),
                AllOf(HasSubstr("the storage behind"), HasSubstr(status), HasSubstr("try again"),
                      Not(HasSubstr("gated"))));
  }
}

TEST_F(Download, AHostThatIsNotThereIsNamed) {
  set("HF_ENDPOINT", "http://127.0.0.1:1");
  EXPECT_THAT(input_error([] { (void)fetch(); }),
              AllOf(HasSubstr("http://127.0.0.1:1/api/models/org/tiny"), HasSubstr("--offline")));
}

TEST_F(Download, TheTokenStaysWithTheHub) {
  set("HF_TOKEN", "hf_secret");
  serve();
  (void)fetch();
  bool elsewhere = false;
  for (const auto& request : server_->requests()) {
    elsewhere |= request["other"].get<bool>();
    EXPECT_EQ(request["token"], request["other"].get<bool>() ? "" : "Bearer hf_secret") << request;
  }
  EXPECT_TRUE(elsewhere);
}

TEST_F(Download, RedirectsAreFollowedTenTimesAndToSafePlacesOnly) {
  serve_faults({"loop"});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("more than 10 redirects"));
  serve_faults({"to:http://files.example.invalid/x?signature=secret"});
  EXPECT_THAT(input_error([] { (void)fetch(); }),
              AllOf(HasSubstr("http://files.example.invalid/x"), Not(HasSubstr("secret"))));
  serve_faults({"to:file:///etc/passwd"});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("expected an https address"));
}

TEST_F(Download, HeadersHaveALimit) {
  serve_faults({"headers"});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("65536 bytes of headers"));
}

TEST_F(Download, NamesThatLeaveTheSnapshotAreLeftOut) {
  serve({{"extra_names", {"../../../evil\x1b", "../config.json", "../x.gguf"}}});
  EXPECT_EQ(read_all(fetch() / "config.json"), "{}");
  for (const auto& request : server_->requests()) {
    EXPECT_THAT(request["path"].get<std::string>(), Not(HasSubstr("..")));
  }
}

TEST_F(Download, AListingWithoutNamesIsNone) {
  serve({{"extra_names", {5}}});
  EXPECT_THAT(input_error([] { (void)fetch(); }), HasSubstr("no list of files"));
}

TEST_F(Download, TwoAtOnceShareTheWork) {
  serve_faults({"slow:200000"});
  auto other = std::async(std::launch::async, [] { return fetch(); });
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_EQ(other.get(), fetch());
  EXPECT_EQ(ranges().size(), 1U) << "one waits for the other's bytes";
}

TEST_F(Download, WaitingForAnotherIsToldOnce) {
  serve();
  auto lock = cache().try_lock(weights_sha256_);
  std::vector<std::string> warnings;
  int waiting = 0;
  hub::set_up({false,
               [&](const hub::Progress& now) {
                 if (now.waiting && ++waiting == 3) lock.reset();
               },
               [&](const std::string& line) { warnings.push_back(line); }, 0.01});
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_EQ(waiting, 3);
  EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("org/tiny: model.safetensors"),
                                          HasSubstr(weights_sha256_ + ".lock"))));
}

TEST_F(Download, ProgressEndsWithEverything) {
  serve();
  std::vector<hub::Progress> seen;
  hub::set_up({false, [&](const hub::Progress& now) { seen.push_back(now); }, {}, 0.01});
  (void)fetch();
  ASSERT_FALSE(seen.empty());
  const hub::Progress& last = seen.back();
  EXPECT_TRUE(last.finished);
  EXPECT_EQ(last.what, "org/tiny");
  EXPECT_EQ(last.files, 3) << "two of the four have the same bytes";
  EXPECT_EQ(last.done, last.total);
  EXPECT_EQ(last.total, static_cast<std::int64_t>(weights_.size() + 2 + 13));
  EXPECT_EQ(last.fetched, last.total);
}

TEST_F(Download, CtrlCKeepsWhatIsThere) {
  serve_faults({"slow:50000"});
  const auto interrupted_fetch = [] {
    install_interrupt_handlers();
    hub::set_up({false,
                 [](const hub::Progress& now) {
                   if (now.done > 10'000) raise(SIGINT);
                 },
                 {},
                 0.01});
    try {
      (void)fetch();
    } catch (const Error& error) {
      fmt::print(stderr, "{}", error.what());
      _exit(error.exit_code());
    }
  };
  EXPECT_EXIT(interrupted_fetch(), ::testing::ExitedWithCode(130), "is kept");
  EXPECT_GT(fs::file_size(cache().incomplete(weights_sha256_)), 0U);
  EXPECT_EQ(fetched_weights(), weights_);
  EXPECT_THAT(ranges().back(), HasSubstr("bytes="));
}

TEST_F(Download, OfflineOpensNoConnection) {
  serve();
  hub::set_up({true, {}, {}, 0.01});
  EXPECT_THAT(input_error([] { (void)fetch(); }),
              AllOf(HasSubstr("models--org--tiny"), HasSubstr("--offline")));
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(Download, ASnapshotOfTheWeightsAloneGetsItsTokenizer) {
  (void)folder_.file("hub/models--org--tiny/refs/main", std::string(40, 'a'));
  const std::string old = "hub/models--org--tiny/snapshots/" + std::string(40, 'a');
  (void)folder_.file(old + "/config.json", "{}");
  (void)folder_.file(old + "/model.safetensors", "old");
  std::vector<std::string> warnings;
  hub::set_up({false, {}, [&](const std::string& line) { warnings.push_back(line); }, 0.01});
  set("HF_ENDPOINT", "http://127.0.0.1:1");
  EXPECT_EQ(fetch(), folder_.path() / old) << "without a Hub it is what it is";
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("without a tokenizer")));
}

// transformers knows an OPT vocabulary's BOS from tokenizer_config.json alone.
TEST_F(Download, ASnapshotOfTheVocabularyAloneGetsTheRestOfItsTokenizer) {
  for (const char* name : {"vocab.json", "merges.txt"}) {
    publish(std::string("models/org/tiny/main/") + name, name);
  }
  serve();
  const fs::path snapshot = fetch();
  fs::remove(snapshot / "tokenizer_config.json");
  EXPECT_EQ(fetch(), snapshot);
  EXPECT_EQ(read_all(snapshot / "tokenizer_config.json"), "{}");

  fs::remove(folder_.path() / "root/models/org/tiny/main/tokenizer_config.json");
  fs::remove_all(cache().folder());
  serve();
  hub::set_up({false, {}, {}, 0.01});
  (void)fetch();
  const std::size_t asked = server_->requests().size();
  for (int i = 0; i < 3; ++i) (void)fetch();
  EXPECT_EQ(server_->requests().size(), asked + 1) << "the listing alone, once a process";

  std::vector<std::string> warnings;
  hub::set_up({true, {}, [&](const std::string& line) { warnings.push_back(line); }, 0.01});
  (void)fetch();
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("without tokenizer_config.json")));
}

TEST_F(Download, ACachedGgufIsNotTheWholeModel) {
  publish("models/org/tiny/main/tiny-Q8_0.gguf", "GGUF");
  serve();
  const fs::path gguf = fetch("org/tiny:Q8_0");
  EXPECT_EQ(gguf.filename(), "tiny-Q8_0.gguf");
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& line) { warnings.push_back(line); };
  hub::set_up({true, {}, warn, 0.01});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(fetch(), gguf) << "what there is offline";
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("taken: " + gguf.string())));
  hub::set_up({false, {}, warn, 0.01});
  EXPECT_EQ(read_all(fetch() / "model.safetensors"), weights_);
}

TEST_F(Download, TheOnlyGgufOfARepositoryIsAskedAboutOnceAndStaysAtItsCommit) {
  publish("models/org/g/main/g-Q8_0.gguf", "GGUF");
  serve();
  const fs::path gguf = fetch("org/g");
  const std::string before = server_->requests()[0]["path"];
  EXPECT_EQ(fetch("org/g"), gguf);
  EXPECT_THAT(before, HasSubstr("/revision/main"));
  const std::string commit = gguf.parent_path().filename().string();
  std::size_t listings = 0;
  for (const auto& request : server_->requests()) {
    listings += static_cast<std::size_t>(request["path"] == "/api/models/org/g/revision/" + commit);
  }
  EXPECT_EQ(listings, 1U);
  const std::size_t asked = server_->requests().size();
  EXPECT_EQ(fetch("org/g"), gguf);
  EXPECT_EQ(server_->requests().size(), asked);
}

class DatasetDownload : public HubTest {};

TEST_F(DatasetDownload, ByNameWithoutAListing) {
  publish("datasets/allenai/c4/main/en/c4-train.00000-of-01024.json.gz", "first");
  serve();
  const fs::path file =
      hub::download({"allenai/c4", {"main"}, "en/c4-train.00000-of-01024.json.gz", {}});
  EXPECT_EQ(read_all(file), "first");
  for (const auto& request : server_->requests()) {
    EXPECT_THAT(request["path"].get<std::string>(), Not(HasSubstr("/api/")))
        << "a list of 70,000 files";
  }
  EXPECT_THAT(hub::dataset_snapshots("allenai/c4"), ElementsAre(file.parent_path().parent_path()));
}

TEST_F(DatasetDownload, FromTheFirstRevisionThatHasIt) {
  publish("datasets/ptb-text-only/ptb_text_only/main/ptb_text_only.py", "");
  publish(
      "datasets/ptb-text-only/ptb_text_only/refs%2Fconvert%2Fparquet/penn_treebank/test/"
      "0000.parquet",
      "PAR1");
  const auto wanted = [](const std::string& name) { return name.ends_with(".parquet"); };
  serve();
  const hub::DatasetFile file{
      "ptb-text-only/ptb_text_only", {"refs/convert/parquet", "main"}, "", wanted};
  EXPECT_EQ(read_all(hub::download(file)), "PAR1");
  EXPECT_EQ(read_all(hub::download({file.id, {"gone", "refs/convert/parquet"}, "", wanted})),
            "PAR1");
  EXPECT_THAT(input_error([&] {
                (void)hub::download({file.id, {"main"}, "", wanted});
              }),
              HasSubstr("--data-dir"));
}

}  // namespace
}  // namespace sgpt_mi::test

#include "sgpt_mi/text/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recorded_windows.h"
#include "sgpt_mi/core/python_random.h"
#include "support/temporary_folder.h"
#include "support/toy_tokenizer.h"
#include "tokenizer/tokenizer_files.h"

namespace sgpt_mi::text {
namespace {

using test::error_of;
using test::input_error;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Calibration : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    return folder_.file(name, text).string();
  }
  CalibrationSet draw(const std::string& dataset, const CalibrationOptions& options) const {
    return draw_calibration(dataset, {folder_.path()}, tokenizer_.get(), options);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_ =
      tokenizer::tokenizer_from_json(test::toy_tokenizer_json(), tokenizer::SpecialTokenFiles());
};

// The toy tokenizer drops what it does not know: newlines and spaces.
TEST_F(Calibration, TextWindowsStartWherePythonSays) {
  const std::string path = write("t.txt", "ccaacca\n\ncbca");
  const CalibrationSet set = draw(path, {.nsamples = 3, .seqlen = 4, .seed = 7});
  PythonRandom random(7);
  const std::vector<std::int32_t> ids = tokenizer_->encode("ccaaccacbca");
  std::vector<std::int32_t> expected;
  for (const std::int64_t offset : set.offsets) {
    EXPECT_EQ(offset, random.randint(0, 11 - 4 - 1));
    expected.insert(expected.end(), ids.begin() + offset, ids.begin() + offset + 4);
  }
  EXPECT_EQ(set.windows.ids, expected);
  EXPECT_EQ(set.windows.windows, 3);
  EXPECT_EQ(set.dataset, path);
  EXPECT_TRUE(set.documents.empty());
}

TEST_F(Calibration, LinesOfATextAreJoinedWithSpaces) {
  // With "▁" for the space: a▁, then the newline that the row keeps.
  nlohmann::json description = test::toy_tokenizer_json();
  description["normalizer"] = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  tokenizer_ = tokenizer::tokenizer_from_json(description, tokenizer::SpecialTokenFiles());
  const std::string path = write("t.txt", "a\n\nb\n");
  EXPECT_THAT(draw(path, {.nsamples = 1, .seqlen = 3, .seed = 0}).windows.ids,
              ElementsAre(0, 3, 3));
}

TEST_F(Calibration, DocumentsAreDrawnUntilOneIsLongEnough) {
  const std::string path =
      write("d.jsonl", "{\"text\": \"c\"}\n{\"text\": \"ccccaaaa\"}\n{\"text\": \"cc\"}\n");
  const CalibrationSet set = draw(path, {.nsamples = 4, .seqlen = 2, .seed = 3});
  PythonRandom random(3);
  std::vector<std::int64_t> tried;
  for (int i = 0; i < 4; ++i) {
    do {
      tried.push_back(random.randint(0, 2));
    } while (tried.back() != 1);
    EXPECT_EQ(set.offsets[static_cast<std::size_t>(i)], random.randint(0, 8 - 2 - 1));
  }
  EXPECT_EQ(set.documents_tried, tried);
  EXPECT_THAT(set.documents, AllOf(Each(1), ::testing::SizeIs(4)));
}

TEST_F(Calibration, EndsWhenNoDocumentIsLongEnough) {
  const std::string path = write("d.jsonl", "{\"text\": \"cc\"}\n{\"text\": \"c\"}\n");
  EXPECT_THAT(input_error([&] { return draw(path, {.nsamples = 1, .seqlen = 2, .seed = 0}); }),
              HasSubstr("none of the 2 documents of"));
}

TEST_F(Calibration, TextsShorterThanAWindow) {
  const std::string path = write("t.txt", "ccc");
  EXPECT_THAT(input_error([&] { return draw(path, {.nsamples = 1, .seqlen = 3, .seed = 0}); }),
              HasSubstr("3 tokens; expected more than --seqlen 3"));
  EXPECT_EQ(draw(path, {.nsamples = 1, .seqlen = 2, .seed = 0}).offsets,
            std::vector<std::int64_t>{0});
}

TEST_F(Calibration, EveryPartOfAMixStartsItsOwnGenerator) {
  const std::string text = write("t.txt", "ccaaccacbca");
  const std::string documents = write("d.jsonl", "{\"text\": \"ccccaaaa\"}\n");
  const CalibrationOptions options{.nsamples = 99, .seqlen = 4, .seed = 7};
  const CalibrationSet mix = draw(text + ":2," + documents + ":1", options);
  const CalibrationSet first = draw(text, {.nsamples = 2, .seqlen = 4, .seed = 7});
  const CalibrationSet second = draw(documents, {.nsamples = 1, .seqlen = 4, .seed = 7});
  EXPECT_EQ(mix.windows.windows, 3);
  EXPECT_THAT(mix.offsets, ElementsAre(first.offsets[0], first.offsets[1], second.offsets[0]));
  EXPECT_THAT(mix.documents, ElementsAre(-1, -1, 0));
  EXPECT_EQ(std::vector(mix.windows.ids.begin(), mix.windows.ids.begin() + 8), first.windows.ids);
}

TEST_F(Calibration, ANameWithAColonIsNotAMix) {
  const std::string path = write("t:x,y.txt", "ccccc");
  EXPECT_EQ(draw(path, {.nsamples = 1, .seqlen = 2, .seed = 0}).windows.windows, 1);
}

TEST_F(Calibration, RecordedWindowsAreTakenInOrder) {
  const std::vector<std::int32_t> ids = {1, 2, 3, 4};
  const std::string path =
      write("w.safetensors", test::safetensors_bytes("input_ids", "I32", {2, 2}, ids));
  const CalibrationOptions one{.nsamples = 1, .seqlen = 9, .seed = 0};
  EXPECT_THAT(draw_calibration(path, {}, nullptr, one).windows.ids, ElementsAre(1, 2));
  const CalibrationOptions three{.nsamples = 3, .seqlen = 9, .seed = 0};
  EXPECT_THAT(input_error([&] { return draw_calibration(path, {}, nullptr, three); }),
              HasSubstr("holds 2 windows; expected at least --nsamples 3"));
}

TEST_F(Calibration, PartsMustHaveWindowsOfOneLength) {
  const std::vector<std::int32_t> ids = {1, 2};
  const std::string recorded =
      write("w.safetensors", test::safetensors_bytes("input_ids", "I32", {1, 2}, ids));
  const std::string text = write("t.txt", "ccccccc");
  const CalibrationOptions options{.nsamples = 1, .seqlen = 3, .seed = 0};
  EXPECT_THAT(input_error([&] { return draw(recorded + ":1," + text + ":1", options); }),
              HasSubstr("windows of 2 and of 3 tokens"));
}

TEST_F(Calibration, OptionsHaveRanges) {
  const auto refusal = [](const CalibrationOptions& options) {
    return error_of(ErrorKind::kUsage, [&] { options.validate(); });
  };
  EXPECT_NO_THROW(CalibrationOptions().validate());
  EXPECT_THAT(refusal({.nsamples = 0}), HasSubstr("nsamples is 0; expected 1 to"));
  EXPECT_THAT(refusal({.seqlen = 1}), HasSubstr("seqlen is 1; expected 2 to"));
  EXPECT_THAT(refusal({.seqlen = std::int64_t{1} << 40}), HasSubstr("seqlen"));
  const std::string path = write("t.txt", "ccccc");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { draw(path + ":0", {}); }),
              HasSubstr("nsamples is 0"));
}

TEST_F(Calibration, TextsNeedATokenizer) {
  EXPECT_THAT(input_error([&] { return draw_calibration("c4", {}, nullptr, {}); }),
              HasSubstr("'c4' needs a tokenizer"));
}

}  // namespace
}  // namespace sgpt_mi::text

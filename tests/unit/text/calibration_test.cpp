#include "sgpt_mi/text/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recorded_windows.h"
#include "sgpt_mi/core/python_random.h"
#include "support/packers.h"
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
      tokenizer::tokenizer_from_json(test::toy_tokenizer_json(), {});
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
  tokenizer_ = tokenizer::tokenizer_from_json(description, {});
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

TEST_F(Calibration, FewerUsableDocumentsThanWindowsAreTold) {
  const std::string path =
      write("d.jsonl", "{\"text\": \"c\"}\n{\"text\": \"ccccaaaa\"}\n{\"text\": \"aaacccaa\"}\n");
  const CalibrationSet four = draw(path, {.nsamples = 4, .seqlen = 2, .seed = 3});
  ASSERT_EQ(four.warnings.size(), 1U);
  EXPECT_THAT(four.warnings[0],
              AllOf(HasSubstr("only 2 of the 3 documents of"), HasSubstr("d.jsonl"),
                    HasSubstr("more than 2 tokens, fewer than the 4 windows")));
  // Two windows may come from one document by chance; there are two.
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_TRUE(draw(path, {.nsamples = 2, .seqlen = 2, .seed = seed}).warnings.empty());
  }
}

TEST_F(Calibration, TheDocumentsOfMostWindowsAreCounted) {
  const std::string one = write("d.jsonl", "{\"text\": \"ccccaaaa\"}\n");
  EXPECT_THAT(
      draw(one, {.nsamples = 3, .seqlen = 2, .seed = 3}).warnings,
      ElementsAre(HasSubstr("fewer than the 3 windows, most of which come from 1 of them")));
}

TEST_F(Calibration, TextsShorterThanTheirWindowsAreTold) {
  const std::string path = write("t.txt", "ccaacca");
  EXPECT_TRUE(draw(path, {.nsamples = 2, .seqlen = 3, .seed = 0}).warnings.empty());
  EXPECT_THAT(draw(path, {.nsamples = 2, .seqlen = 4, .seed = 0}).warnings,
              ElementsAre(AllOf(HasSubstr("the 2 windows of 4 tokens from"),
                                HasSubstr("7 tokens where they hold 8"))));
  // Every part of a mix is told by itself.
  EXPECT_EQ(
      draw(path + ":2," + path + ":3", {.nsamples = 9, .seqlen = 4, .seed = 0}).warnings.size(),
      2U);
}

TEST_F(Calibration, TheSameTextsInAnyContainerGiveTheSameWindows) {
  const std::string lines = "{\"text\": \"ccaacca\"}\n{\"text\": \"cbca\"}\n";
  const CalibrationOptions options{.nsamples = 3, .seqlen = 2, .seed = 5};
  const CalibrationSet wanted = draw(write("d.jsonl", lines), options);
  for (const auto& [name, bytes] :
       {std::pair("d.NDJSON", lines), std::pair("d.json.gz", test::gzip(lines)),
        std::pair("d.zst", test::zstd(lines)), std::pair("e.txt", lines),
        std::pair("a.json", std::string("[{\"text\": \"ccaacca\"}, \"cbca\"]"))}) {
    const CalibrationSet set = draw(write(name, bytes), options);
    EXPECT_EQ(set.windows.ids, wanted.windows.ids) << name;
    EXPECT_EQ(set.documents_tried, wanted.documents_tried) << name;
  }
  const std::string other =
      write("k.jsonl", "{\"a\":{\"b\":\"ccaacca\"}}\n{\"a\":{\"b\":\"cbca\"}}\n");
  EXPECT_EQ(draw_calibration(other, {folder_.path(), "a.b"}, tokenizer_.get(), options).windows.ids,
            wanted.windows.ids);
}

TEST_F(Calibration, BytesThatAreNotUtf8AreShownWithTheirPlaceInTheFile) {
  const std::string path = write("latin.txt", "cca\r\n\r\ncaf\xE9 cc");
  EXPECT_THAT(input_error([&] { return draw(path, {.nsamples = 1, .seqlen = 2, .seed = 0}); }),
              AllOf(HasSubstr("latin.txt: byte 0xE9 at offset 10")));
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

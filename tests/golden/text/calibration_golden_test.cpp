#include "golden_tokenizers.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/text/calibration.h"
#include "text/dataset_files.h"
#include "text/window_sampler.h"

namespace sgpt_mi::text {
namespace {

class CalibrationGolden : public ::testing::TestWithParam<test::GoldenTokenizer> {};

constexpr const char* kRawText = "data/wikitext2/wiki.train.raw.first1MB.noblank.txt";

/// The train text of a golden draw.
std::string train_text(const std::string& dataset, const DataSettings& data) {
  if (dataset == "wikitext2_raw1mb") {
    return join(wikitext_rows(documents::read_text_file(test::shared_dir() / kRawText)), " ");
  }
  return join(load_rows(dataset, Split::kTrain, data), " ");
}

CalibrationOptions options_of(const nlohmann::json& draw) {
  return {.nsamples = draw.at("nsamples"), .seqlen = draw.at("seqlen"), .seed = draw.at("seed")};
}

void expect_draw(const CalibrationSet& set, const nlohmann::json& draw) {
  EXPECT_EQ(set.offsets, draw.at("offset").get<std::vector<std::int64_t>>());
  EXPECT_EQ(set.windows.sha256(), draw.at("windows_sha256_int32le"));
  EXPECT_EQ(set.windows.windows, draw.at("nsamples"));
  if (!draw.contains("doc")) return;
  EXPECT_EQ(set.documents, draw.at("doc").get<std::vector<std::int64_t>>());
  EXPECT_EQ(set.documents_tried, draw.at("docs_tried").get<std::vector<std::int64_t>>());
}

nlohmann::json golden_of(const std::string& tokenizer) {
  return test::read_json(test::shared_dir() / "golden/protocols" /
                         ("calibration_" + tokenizer + ".json"));
}

TEST_P(CalibrationGolden, EveryDrawIsTheReferences) {
  SGPT_MI_SHARED_OR_SKIP(folder, GetParam().folder);
  const DataSettings data{test::shared_dir() / "data"};
  const nlohmann::json golden = golden_of(GetParam().name);
  const auto tokenizer = tokenizer::load_tokenizer(folder);
  ASSERT_EQ(golden.at("draws").size(), 32U);
  std::map<std::string, std::vector<std::int32_t>> tokens;
  for (const std::string dataset : {"wikitext2", "wikitext2_raw1mb", "ptb"}) {
    const nlohmann::json& expected = golden.at("texts").at(dataset);
    const std::string text = train_text(dataset, data);
    EXPECT_EQ(sha256_hex(text), expected.at("sha256_utf8")) << dataset;
    tokens[dataset] = tokenizer->encode(text);
    EXPECT_EQ(token_sha256(tokens[dataset]), expected.at("sha256_int32le")) << dataset;
  }
  const std::vector<std::string> documents = load_rows("c4", Split::kTrain, data);
  for (const nlohmann::json& draw : golden.at("draws")) {
    SCOPED_TRACE(draw.at("dataset").get<std::string>() + " seed " + draw.at("seed").dump() +
                 " seqlen " + draw.at("seqlen").dump() + " nsamples " + draw.at("nsamples").dump());
    WindowSampler sampler(draw.at("dataset"), options_of(draw));
    expect_draw(draw.at("dataset") == "c4" ? sampler.from_documents(documents, *tokenizer)
                                           : sampler.from_tokens(tokens.at(draw.at("dataset"))),
                draw);
  }
}

INSTANTIATE_TEST_SUITE_P(Calibration, CalibrationGolden,
                         ::testing::ValuesIn(test::kGoldenTokenizers),
                         test::golden_tokenizer_test_name);

// The same through the public function, with the smallest tokenizer.
TEST(DrawCalibration, FindsTheTextsItself) {
  SGPT_MI_SHARED_OR_SKIP(folder, "models/opt-3m");
  const DataSettings data{test::shared_dir() / "data"};
  const auto tokenizer = tokenizer::load_tokenizer(folder);
  const nlohmann::json golden = golden_of("opt-3m");
  int compared = 0;
  for (const nlohmann::json& draw : golden.at("draws")) {
    if (draw.at("seed") != 1 || draw.at("seqlen") != 512 || draw.at("nsamples") != 8) continue;
    const std::string name = draw.at("dataset");
    const std::string dataset =
        name == "wikitext2_raw1mb" ? (test::shared_dir() / kRawText).string() : name;
    SCOPED_TRACE(dataset);
    const CalibrationSet set = draw_calibration(dataset, data, tokenizer.get(), options_of(draw));
    EXPECT_EQ(set.dataset, dataset);
    expect_draw(set, draw);
    ++compared;
  }
  EXPECT_EQ(compared, 4);
}

}  // namespace
}  // namespace sgpt_mi::text

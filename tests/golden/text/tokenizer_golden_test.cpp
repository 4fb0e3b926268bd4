#include "golden_tokenizers.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/gguf/gguf.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::text {
namespace {

class TokenizerGolden : public ::testing::TestWithParam<test::GoldenTokenizer> {};

std::string unhex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

void expect_cases(const tokenizer::Tokenizer& tokenizer, const nlohmann::json& cases) {
  ASSERT_EQ(cases.size(), 46U);
  for (const nlohmann::json& test_case : cases) {
    const std::string text = unhex(test_case.at("utf8_hex"));
    const std::vector<std::int32_t> ids = test_case.at("ids");
    const std::vector<std::int32_t> ids_with_special = test_case.at("ids_with_special");
    EXPECT_EQ(tokenizer.encode(text, false), ids) << test_case.at("name");
    EXPECT_EQ(tokenizer.encode(text, true), ids_with_special) << test_case.at("name");
  }
}

void expect_eval_texts(const tokenizer::Tokenizer& tokenizer, const nlohmann::json& texts) {
  ASSERT_EQ(texts.size(), 3U);
  for (const auto& [set, expected] : texts.items()) {
    const std::string text = load_eval_text(set, {test::shared_dir() / "data"});
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(ids.size(), expected.at("n_tokens_with_special")) << set;
    EXPECT_EQ(token_sha256(ids), expected.at("sha256_int32le")) << set;
  }
}

// One test, because loading the largest file takes a second.
TEST_P(TokenizerGolden, EveryIdIsTheReferences) {
  SGPT_MI_SHARED_OR_SKIP(folder, GetParam().folder);
  const nlohmann::json golden = test::read_json(test::shared_dir() / "golden/tokenizers" /
                                                (std::string(GetParam().name) + ".json"));
  const auto tokenizer = tokenizer::load_tokenizer(folder);
  const nlohmann::json& bos = golden.at("bos_id_prepended");
  EXPECT_EQ(tokenizer->bos_id().value_or(-1), bos.is_null() ? -1 : bos.get<std::int32_t>());
  EXPECT_EQ(tokenizer->vocab_size(), golden.at("vocab_size"));
  expect_cases(*tokenizer, golden.at("cases"));
  expect_eval_texts(*tokenizer, golden.at("eval_texts"));
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, TokenizerGolden, ::testing::ValuesIn(test::kGoldenTokenizers),
                         test::golden_tokenizer_test_name);

// The same model's GGUF file, whose scores are all equal. Only <unk> in a text is read differently:
// tokenizer.json recognises it after normalization.
TEST(GgufGolden, GivesTheIdsOfTokenizerJson) {
  SGPT_MI_SHARED_OR_SKIP(folder, "models/tinystories-656k");
  const auto opened = gguf::open_gguf(folder / "TinyStories-656K-Q8_0.gguf");
  ASSERT_TRUE(opened.vocabulary.has_value());
  const auto from_gguf = tokenizer::load_tokenizer(*opened.vocabulary);
  const auto from_json = tokenizer::load_tokenizer(folder);
  EXPECT_EQ(from_gguf->bos_id(), from_json->bos_id());
  EXPECT_EQ(from_gguf->vocab_size(), from_json->vocab_size());
  const std::string text = load_eval_text(
      test::shared_dir() / "data/tinystories/tinystories.944KB.txt", {test::shared_dir() / "data"});
  EXPECT_EQ(token_sha256(from_gguf->encode(text)), token_sha256(from_json->encode(text)));
}

}  // namespace
}  // namespace sgpt_mi::text

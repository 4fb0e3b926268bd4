#include "golden_tokenizers.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::text {
namespace {

nlohmann::json eval_texts() {
  return test::read_json(test::shared_dir() / "golden/protocols/eval_texts.json");
}

TEST(EvalTexts, AreTheReferences) {
  SGPT_MI_SHARED_OR_SKIP(data, "data");
  const nlohmann::json golden = eval_texts();
  ASSERT_EQ(golden.at("texts").size(), 3U);
  for (const auto& [set, expected] : golden.at("texts").items()) {
    const std::string text = load_eval_text(set, {data});
    EXPECT_EQ(text.size(), expected.at("utf8_bytes")) << set;
    EXPECT_EQ(sha256_hex(text), expected.at("sha256_utf8")) << set;
  }
}

// The cutting does not depend on the tokenizer: one with BOS and one without are enough.
TEST(EvalSets, WindowsAreTheReferences) {
  SGPT_MI_SHARED_OR_SKIP(data, "data");
  const nlohmann::json golden = eval_texts();
  for (const test::GoldenTokenizer& entry :
       {test::kGoldenTokenizers[0], test::kGoldenTokenizers[2]}) {
    const auto tokenizer = tokenizer::load_tokenizer(test::shared_dir() / entry.folder);
    for (const auto& [name, expected] : golden.at("tokens").at(entry.name).items()) {
      for (const auto& [seqlen, cut] : expected.at("windows").items()) {
        const EvalSet set = load_eval_set(name, {data}, tokenizer.get(), std::stol(seqlen), 0);
        EXPECT_EQ(set.name, name);
        EXPECT_EQ(set.protocol, "gptq");
        EXPECT_EQ(set.text_sha256, golden.at("texts").at(name).at("sha256_utf8"));
        EXPECT_EQ(set.tokens, expected.at("n_tokens"));
        EXPECT_EQ(set.token_sha256, expected.at("sha256_int32le"));
        EXPECT_EQ(set.windows.windows, cut.at("n_windows"));
        if (cut.at("tokens_dropped") == 0) {
          EXPECT_EQ(set.windows.sha256(), cut.at("sha256_int32le_kept"));
        }
      }
    }
  }
}

}  // namespace
}  // namespace sgpt_mi::text

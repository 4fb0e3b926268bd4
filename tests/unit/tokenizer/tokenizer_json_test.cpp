#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "support/toy_tokenizer.h"
#include "tokenizer/tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

using nlohmann::json;
using test::input_error;
using test::toy_tokenizer_json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(const json& description) {
  return input_error([&] { return tokenizer_from_json(description, SpecialTokenFiles()); });
}

json added(const char* content, int id, bool normalized) {
  return {{"content", content}, {"id", id},        {"normalized", normalized}, {"special", true},
          {"lstrip", false},    {"rstrip", false}, {"single_word", false}};
}

json bos_template() {
  return json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 0}}],
    "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]},
                                   "</s>": {"id": "</s>", "ids": [7], "tokens": ["</s>"]}}})");
}

TEST(TokenizerJson, Plain) {
  const auto tokenizer = tokenizer_from_json(toy_tokenizer_json(), SpecialTokenFiles());
  EXPECT_THAT(tokenizer->encode("abcab"), ElementsAre(5, 4));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre());
  EXPECT_EQ(tokenizer->vocab_size(), 6);
  EXPECT_EQ(tokenizer->bos_id(), std::nullopt);
}

TEST(TokenizerJson, MergesAsPairs) {
  json description = toy_tokenizer_json();
  description["model"]["merges"] = json::parse(R"([["a", "b"], ["ab", "c"]])");
  EXPECT_THAT(tokenizer_from_json(description, SpecialTokenFiles())->encode("abc"), ElementsAre(5));
}

TEST(TokenizerJson, TemplateFramesTheText) {
  json description = toy_tokenizer_json();
  description["post_processor"] = bos_template();
  const auto tokenizer = tokenizer_from_json(description, SpecialTokenFiles());
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(6, 4, 7));
  EXPECT_THAT(tokenizer->encode("ab", false), ElementsAre(4));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre(6, 7));
  EXPECT_EQ(tokenizer->bos_id(), 6);
}

TEST(TokenizerJson, ProcessorsInSequence) {
  json description = toy_tokenizer_json();
  description["post_processor"] = {{"type", "Sequence"},
                                   {"processors", {{{"type", "ByteLevel"}}, bos_template()}}};
  EXPECT_THAT(tokenizer_from_json(description, SpecialTokenFiles())->encode("c"),
              ElementsAre(6, 2, 7));
}

TEST(TokenizerJson, AddedTokensBeforeAndAfterTheNormalizer) {
  json description = toy_tokenizer_json();
  description["normalizer"] = {{"type", "Prepend"}, {"prepend", "▁"}};
  description["added_tokens"] = {added("<raw>", 6, false), added("<norm>", 7, true)};
  const auto tokenizer = tokenizer_from_json(description, SpecialTokenFiles());
  // Every stretch between raw tokens is normalized on its own, and so is what <norm> matches.
  EXPECT_THAT(tokenizer->encode("a<raw>b"), ElementsAre(3, 0, 6, 3, 1));
  EXPECT_THAT(tokenizer->encode("<norm>b"), ElementsAre(7, 1));
  EXPECT_THAT(tokenizer->encode("a▁<norm>"), ElementsAre(3, 0, 7));
  EXPECT_EQ(tokenizer->vocab_size(), 8);
}

TEST(TokenizerJson, MetaspaceFirstMeansTheStartOfTheText) {
  json description = toy_tokenizer_json();
  description["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
  description["added_tokens"] = {added("<raw>", 6, false)};
  const auto tokenizer = tokenizer_from_json(description, SpecialTokenFiles());
  EXPECT_THAT(tokenizer->encode("a<raw>b"), ElementsAre(3, 0, 6, 1));
  EXPECT_THAT(tokenizer->encode("<raw>b"), ElementsAre(6, 1));
}

TEST(TokenizerJson, ComponentsAreRefusedByName) {
  const auto with = [](const char* stage, const char* type) {
    json description = toy_tokenizer_json();
    description[stage] = {{"type", type}};
    return description;
  };
  EXPECT_THAT(refusal(with("normalizer", "Strip")), HasSubstr("normalizer 'Strip'"));
  EXPECT_THAT(refusal(with("pre_tokenizer", "CharDelimiterSplit")),
              HasSubstr("'CharDelimiterSplit'"));
  EXPECT_THAT(refusal(with("post_processor", "RobertaProcessing")),
              HasSubstr("'RobertaProcessing'"));
  json unigram = toy_tokenizer_json();
  unigram["model"]["type"] = "Unigram";
  EXPECT_THAT(refusal(unigram), HasSubstr("model 'Unigram'"));
}

TEST(TokenizerJson, SwitchesOfTheModelAreRefusedByName) {
  for (const auto& [name, value] : std::vector<std::pair<const char*, json>>{
           {"dropout", 0.1}, {"continuing_subword_prefix", "##"}, {"end_of_word_suffix", "</w>"}}) {
    json description = toy_tokenizer_json();
    description["model"][name] = value;
    EXPECT_THAT(refusal(description), HasSubstr(name));
  }
  json bytes = toy_tokenizer_json();
  bytes["pre_tokenizer"] = {{"type", "ByteLevel"}};
  bytes["model"]["byte_fallback"] = true;
  EXPECT_THAT(refusal(bytes), HasSubstr("byte_fallback"));
}

TEST(TokenizerJson, DamagedFiles) {
  json merge = toy_tokenizer_json();
  merge["model"]["merges"] = {"a b c"};
  EXPECT_THAT(refusal(merge), HasSubstr("a b c"));
  json id = toy_tokenizer_json();
  id["model"]["vocab"]["a"] = -1;
  EXPECT_THAT(refusal(id), HasSubstr("'a'"));
  json large = toy_tokenizer_json();
  large["model"]["vocab"]["a"] = std::int64_t{1} << 40;
  EXPECT_THAT(refusal(large), HasSubstr("'a'"));
  json token = toy_tokenizer_json();
  token["added_tokens"] = {{{"id", 6}}};
  EXPECT_THAT(refusal(token), AllOf(HasSubstr("added_tokens: "), HasSubstr("'content'")));
  json model = toy_tokenizer_json();
  model.erase("model");
  EXPECT_THAT(refusal(model), HasSubstr("'model'"));
  EXPECT_THAT(refusal(json::array()), HasSubstr("array"));
  json texts = toy_tokenizer_json();
  texts["post_processor"] = bos_template();
  texts["post_processor"]["single"].erase(1);
  EXPECT_THAT(refusal(texts), HasSubstr("0 places"));
}

TEST(TokenizerJson, TextsThatAreNotUtf8AreRefused) {
  const auto tokenizer = tokenizer_from_json(toy_tokenizer_json(), SpecialTokenFiles());
  EXPECT_THAT(input_error([&] { return tokenizer->encode("a\xFF"); }), HasSubstr("offset 1"));
}

TEST(LoadTokenizer, PrefersTokenizerJson) {
  const test::TemporaryFolder folder;
  static_cast<void>(folder.file("tokenizer.json", toy_tokenizer_json().dump()));
  static_cast<void>(folder.file("vocab.json", "not even JSON"));
  static_cast<void>(folder.file("merges.txt", ""));
  EXPECT_THAT(load_tokenizer(folder.path())->encode("abc"), ElementsAre(5));
}

TEST(LoadTokenizer, NamesWhatIsMissingOrBroken) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { return load_tokenizer(folder.path()); }),
              HasSubstr("tokenizer.json, vocab.json + merges.txt or tokenizer.model"));
  static_cast<void>(folder.file("tokenizer.json", "{"));
  EXPECT_THAT(input_error([&] { return load_tokenizer(folder.path()); }),
              HasSubstr("not valid JSON"));
}

TEST(LoadTokenizer, NamesFileAndMember) {
  const test::TemporaryFolder folder;
  json description = toy_tokenizer_json();
  description["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "WhitespaceSplit"}},
        {{"type", "Split"}, {"pattern", {{"Regex", "\\Ga"}}}, {"behavior", "Isolated"}}}}};
  static_cast<void>(folder.file("tokenizer.json", description.dump()));
  EXPECT_THAT(input_error([&] { return load_tokenizer(folder.path()); }),
              AllOf(StartsWith("text: " + folder.path().string()),
                    HasSubstr("/tokenizer.json: pre_tokenizer: pretokenizers[1]: regular "
                              "expression '\\Ga'")));
}

TEST(LoadTokenizer, CallsAPointerAPointer) {
  const char* pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    const test::TemporaryFolder folder;
    static_cast<void>(folder.file(name, pointer));
    EXPECT_THAT(input_error([&] { return load_tokenizer(folder.path()); }),
                AllOf(HasSubstr(name), HasSubstr("Git LFS pointer")));
  }
}

// A token added after training, tokenizer.json not saved again.
TEST(LoadTokenizer, TheConfigurationAddsTokensToTokenizerJson) {
  const test::TemporaryFolder folder;
  static_cast<void>(folder.file("tokenizer.json", toy_tokenizer_json().dump()));
  static_cast<void>(folder.file("tokenizer_config.json", R"({"pad_token": "[PAD]",
      "added_tokens_decoder": {"6": {"content": "<t>", "normalized": false}}})"));
  EXPECT_THAT(load_tokenizer(folder.path())->encode("ab<t>c[PAD]"), ElementsAre(4, 6, 2, 7));
}

TEST(LoadTokenizer, SpecialTokensMayBeText) {
  const test::TemporaryFolder folder;
  json description = toy_tokenizer_json();
  description["added_tokens"] = {added("ab", 4, false), added("c", 2, false)};
  description["added_tokens"][1]["special"] = false;
  description["model"]["merges"] = json::array();
  static_cast<void>(folder.file("tokenizer.json", description.dump()));
  EXPECT_THAT(load_tokenizer(folder.path())->encode("abc"), ElementsAre(4, 2));
  static_cast<void>(folder.file("tokenizer_config.json", R"({"split_special_tokens": true})"));
  EXPECT_THAT(load_tokenizer(folder.path())->encode("abc"), ElementsAre(0, 1, 2));
}

// What AutoTokenizer of transformers 5.23 does, for either flag in tokenizer.json itself.
TEST(TokenizerJson, TheSpaceInFrontIsTheClassesOwn) {
  const test::TemporaryFolder folder;
  constexpr std::int32_t kWithout = 2;
  constexpr std::int32_t kWith = 4;
  const auto id = [&](const char* model, const char* config) {
    (void)folder.file("config.json", json{{"model_type", model}}.dump());
    (void)folder.file("tokenizer_config.json", config);
    return load_tokenizer(folder.path())->encode("ab").front();
  };
  json description = toy_tokenizer_json();
  description["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", kWithout}, {"Ġ", 3}, {"Ġab", kWith}};
  description["model"]["merges"] = {"a b", "Ġ ab"};
  for (const bool own : {false, true}) {
    const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", own}};
    description["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {byte_level}}};
    (void)folder.file("tokenizer.json", description.dump());
    constexpr const char* kWanted = R"({"add_prefix_space": true})";
    constexpr const char* kGpt2 =
        R"({"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": true})";
    constexpr const char* kPlain =
        R"({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": true})";
    for (const char* model : {"opt", "gpt2", "qwen2", "qwen3"}) {
      EXPECT_EQ(id(model, "{}"), kWithout) << model;
      EXPECT_EQ(id(model, kWanted), kWith) << model;
    }
    EXPECT_EQ(id("llama", kGpt2), kWith);
    EXPECT_EQ(id("qwen2", kPlain), kWith);
    EXPECT_EQ(id("llama", kWanted), own ? kWith : kWithout);
    EXPECT_EQ(id("opt", kPlain), own ? kWith : kWithout);
  }
}

}  // namespace
}  // namespace sgpt_mi::tokenizer

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/special_tokens/tokenizer_file.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const auto read = [&](const char* name) {
    return special_tokens::read_tokenizer_file(folder / name);
  };
  if (has("tokenizer.json")) {
    const SpecialTokenFiles files(folder);
    const nlohmann::json json = read_tokenizer_json(folder, files);
    return pretokenizer::reading(path("tokenizer.json"),
                                 [&] { return tokenizer_from_json(json, files); });
  }
  if (has("vocab.json") && has("merges.txt")) {
    return tokenizer_from_vocab_and_merges(folder, SpecialTokenFiles(folder));
  }
  if (has("tokenizer.model")) {
    const std::string model = read("tokenizer.model");
    const SpecialTokenFiles files(folder);
    return pretokenizer::reading(path("tokenizer.model"),
                                 [&] { return tokenizer_from_sentencepiece(model, files); });
  }
  fail(ErrorKind::kInput,
       "text: no tokenizer in {}; expected tokenizer.json, vocab.json + merges.txt or "
       "tokenizer.model; copy them from the model's repository",
       folder.string());
}

}  // namespace sgpt_mi::tokenizer

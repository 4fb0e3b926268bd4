#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
  if (has("tokenizer.json")) {
    const std::filesystem::path path = folder / "tokenizer.json";
    return tokenizer_from_json(
        pretokenizer::parse_json(documents::read_text_file(path), path.string()));
  }
  if (has("vocab.json") && has("merges.txt")) return tokenizer_from_vocab_and_merges(folder);
  if (has("tokenizer.model")) {
    return tokenizer_from_sentencepiece(documents::read_text_file(folder / "tokenizer.model"),
                                        SpecialTokenFiles(folder));
  }
  fail(ErrorKind::kInput,
       "text: no tokenizer in {}; expected tokenizer.json, vocab.json + merges.txt or "
       "tokenizer.model; copy them from the model's repository",
       folder.string());
}

}  // namespace sgpt_mi::tokenizer

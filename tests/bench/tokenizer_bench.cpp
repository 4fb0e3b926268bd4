#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "sgpt_mi/text/corpus.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "support/shared_data.h"

namespace sgpt_mi {
namespace {

/// Tokenizes the WikiText-2 test text, 1.3 MB of English, in one call. Rate: bytes of text.
void encode(benchmark::State& state, const std::string& folder) {
  const std::filesystem::path shared = test::shared_dir();
  if (shared.empty()) {
    state.SkipWithError("real texts not found; set SGPT_MI_SHARED to their folder");
    return;
  }
  const std::string text = text::load_eval_text("wikitext2", {shared / "data"});
  const std::unique_ptr<tokenizer::Tokenizer> tokenizer =
      tokenizer::load_tokenizer(shared / folder);
  for (auto step : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

BENCHMARK_CAPTURE(encode, gpt2, "tokenizers/gpt2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, opt, "tokenizers/opt")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama3, "tokenizers/llama3_2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, qwen2, "tokenizers/qwen2_5")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, sentencepiece, "tokenizers/llama2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, no_pre_tokenizer, "models/tinystories-656k")
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();

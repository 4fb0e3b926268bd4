#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sgpt_mi/tokenizer/tokenizer.h"
#include "support/shared_data.h"

namespace sgpt_mi::test {

/// A tokenizer of the golden data and the folder that its files are in.
struct GoldenTokenizer {
  const char* name;
  const char* folder;
};

inline constexpr GoldenTokenizer kGoldenTokenizers[] = {
    {"opt", "tokenizers/opt"},
    {"opt-3m", "models/opt-3m"},
    {"gpt2", "tokenizers/gpt2"},
    {"llama2", "tokenizers/llama2"},
    {"llama3_2", "tokenizers/llama3_2"},
    {"qwen2_5", "tokenizers/qwen2_5"},
    {"tinystories-656k", "models/tinystories-656k"}};

inline void PrintTo(const GoldenTokenizer& tokenizer, std::ostream* out) { *out << tokenizer.name; }

inline std::string golden_tokenizer_test_name(
    const ::testing::TestParamInfo<GoldenTokenizer>& info) {
  std::string name = info.param.name;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

}  // namespace sgpt_mi::test

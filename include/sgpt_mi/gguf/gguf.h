#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::gguf {

/// A model in one GGUF file, as a Hugging Face folder would hold it.
struct OpenedGguf {
  nlohmann::json config;  ///< config.json, made from the metadata
  std::unique_ptr<containers::TensorSource> tensors;
  std::optional<tokenizer::GgufVocabulary> vocabulary;
};

/// Opens a GGUF file of version 2 or 3, or the first of a split model (NAME-00001-of-00003.gguf),
/// with a model of the LLaMA family: general.architecture "llama" (LLaMA, Mistral, Yi), "qwen2" or
/// "qwen3".
///
/// Tensors have their Hugging Face names and row-major shapes. F32, F16 and BF16 are given as they
/// are; blocks (blocks/README.md: all that ggml's own package decodes) are dequantized to F32 by
/// each read(). GGUF files of architecture "llama" store the rows of q and k of every head as the
/// pairs (0, d/2), (1, d/2 + 1), ... that their rope turns together; read() puts them back into the
/// Hugging Face order 0, 1, ..., d - 1. The config and the vocabulary come from the metadata; a
/// rope_freqs.weight tensor becomes the llama3 rope scaling that it was made from.
///
/// Throws Error(kInput) naming the file and what is wrong: damaged data, another architecture,
/// experts, an unknown tensor name or type, a rope scaling that config.json could not express.
[[nodiscard]] OpenedGguf open_gguf(const std::filesystem::path& path);

}  // namespace sgpt_mi::gguf

#pragma once

#include "family.h"

namespace sgpt_mi::model {

// LLaMA (Touvron et al. 2023, arXiv 2302.13971) and its relatives: the functions of their row in
// the family table.
[[nodiscard]] std::unique_ptr<Block> make_llama_block(BlockParts parts);
[[nodiscard]] torch::Tensor llama_embed(const ModelSpec& spec, const EndTensor& end,
                                        const torch::Tensor& embedded);
[[nodiscard]] torch::Tensor llama_final_hidden(const ModelSpec& spec, const EndTensor& end,
                                               const torch::Tensor& hidden);

}  // namespace sgpt_mi::model

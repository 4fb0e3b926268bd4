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

/// Position p of a window reads row p + 2 of OPT's position table.
inline constexpr std::int64_t kOptPositionOffset = 2;

// OPT (Zhang et al. 2022, arXiv 2205.01068): the functions of its row in the family table.
[[nodiscard]] std::unique_ptr<Block> make_opt_block(BlockParts parts);
[[nodiscard]] torch::Tensor opt_embed(const ModelSpec& spec, const EndTensor& end,
                                      const torch::Tensor& embedded);
[[nodiscard]] torch::Tensor opt_final_hidden(const ModelSpec& spec, const EndTensor& end,
                                             const torch::Tensor& hidden);

}  // namespace sgpt_mi::model

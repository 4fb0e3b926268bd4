#pragma once

#include <cstddef>

#include "sgpt_mi/blocks/block_types.h"

// The layouts of ggml's blocks, one function a type and direction. Formulas: ggml,
// src/ggml-common.h and src/ggml-quants.c.
namespace sgpt_mi::blocks {

void unpack_q4_0(const std::byte* block, float* out);
void unpack_q4_1(const std::byte* block, float* out);
void unpack_q5_0(const std::byte* block, float* out);
void unpack_q5_1(const std::byte* block, float* out);
void unpack_q8_0(const std::byte* block, float* out);
void unpack_q4_k(const std::byte* block, float* out);
void unpack_q5_k(const std::byte* block, float* out);
void unpack_q6_k(const std::byte* block, float* out);
void unpack_q2_k(const std::byte* block, float* out);
void unpack_q3_k(const std::byte* block, float* out);
void unpack_iq4_nl(const std::byte* block, float* out);
void unpack_iq4_xs(const std::byte* block, float* out);
// Of types that are read and not written.
void unpack_iq1_s(const std::byte* block, float* out);
void unpack_iq1_m(const std::byte* block, float* out);
void unpack_iq2_xxs(const std::byte* block, float* out);
void unpack_iq2_xs(const std::byte* block, float* out);
void unpack_iq2_s(const std::byte* block, float* out);
void unpack_iq3_xxs(const std::byte* block, float* out);
void unpack_iq3_s(const std::byte* block, float* out);
void unpack_tq1_0(const std::byte* block, float* out);
void unpack_tq2_0(const std::byte* block, float* out);
void unpack_mxfp4(const std::byte* block, float* out);
void unpack_nvfp4(const std::byte* block, float* out);

void pack_q4_0(const BlockParts& parts, std::byte* block);
void pack_q4_1(const BlockParts& parts, std::byte* block);
void pack_q5_0(const BlockParts& parts, std::byte* block);
void pack_q5_1(const BlockParts& parts, std::byte* block);
void pack_q8_0(const BlockParts& parts, std::byte* block);
void pack_q4_k(const BlockParts& parts, std::byte* block);
void pack_q5_k(const BlockParts& parts, std::byte* block);
void pack_q6_k(const BlockParts& parts, std::byte* block);
void pack_q2_k(const BlockParts& parts, std::byte* block);
void pack_q3_k(const BlockParts& parts, std::byte* block);
void pack_iq4_nl(const BlockParts& parts, std::byte* block);
void pack_iq4_xs(const BlockParts& parts, std::byte* block);

}  // namespace sgpt_mi::blocks

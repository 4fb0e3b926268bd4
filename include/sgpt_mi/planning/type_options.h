#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::planning {

/// Which of ggml's block types matrices get, where the format holds blocks.
struct TypeOptions {
  /// Of every matrix that is not named and not planned; nullptr: types are planned.
  const blocks::BlockType* standard = nullptr;
  /// Types by names between dots, or their beginnings, llama.cpp's or Hugging Face's: {"attn_v",
  /// Q6_K}, {"ffn", Q3_K}, {"blk.0.attn", Q5_K}, {"layers.0.mlp", Q8_0}. The first that fits
  /// counts; "layers.1" does not fit layer 10.
  std::vector<std::pair<std::string, const blocks::BlockType*>> by_name;
  /// Embedding and head, which get types too.
  std::vector<formats::MatrixShape> ends;
  /// Bits that all planned matrices and those with fixed types may take together; unset: bits a
  /// weight of the linears count.
  std::optional<std::int64_t> budget_bits;
  bool needs_zero = false;  ///< pruned weights must stay exactly zero

  /// Throws Error(kUsage) for a type that holds no blocks, or no zero where one is needed.
  void validate() const;

  /// The type that is asked for by name for NAME (a matrix NAME.weight), or nullptr.
  [[nodiscard]] const blocks::BlockType* named(const std::string& name) const;

  /// Throws Error(kUsage) for a name that fits none of these linears and of the ends.
  void require_used(std::vector<std::string> matrices) const;

  /// The type of a matrix of rows of so many columns whatever its damage is: the named one, else
  /// the standard one, or, where its blocks do not divide the columns, the type of blocks of 32
  /// with the next more bits; nullptr when it is planned. Throws Error(kUsage) when no block
  /// divides the columns.
  [[nodiscard]] const blocks::BlockType* fixed(const std::string& name, std::int64_t columns) const;

  /// The same of an embedding or a head: the named one, else Q6_K (Q8_0 where 256 does not divide
  /// the columns) as llama.cpp has it; nullptr when it is planned, within budget_bits.
  [[nodiscard]] const blocks::BlockType* fixed_end(const formats::MatrixShape& matrix) const;

  /// The types that a plan may choose from for such rows, by their stored bits.
  [[nodiscard]] std::vector<const blocks::BlockType*> menu(std::int64_t columns) const;

  /// The same of an embedding or a head: those of 4 bits and more, since every token reads them.
  [[nodiscard]] std::vector<const blocks::BlockType*> end_menu(std::int64_t columns) const;

  [[nodiscard]] bool is_end(const std::string& name) const;
};

/// The smallest type that a plan may choose for a matrix. Throws Error(kUsage) when no block
/// divides its columns.
[[nodiscard]] const blocks::BlockType* smallest_type(const TypeOptions& types,
                                                     const formats::MatrixShape& matrix);

/// Embedding and head, where the checkpoint has them as matrices of their own. A tied table may be
/// kept under either name; a head beside the embedding it is tied to is left out.
[[nodiscard]] std::vector<formats::MatrixShape> end_matrices(const formats::Checkpoint& checkpoint,
                                                             const model::ModelSpec& spec);

}  // namespace sgpt_mi::planning

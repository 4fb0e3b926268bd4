#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"

namespace sgpt_mi::planning {

/// Which of ggml's block types matrices get, where the format holds blocks.
struct TypeOptions {
  /// Of every matrix that is not named and not planned; nullptr: types are planned.
  const blocks::BlockType* standard = nullptr;
  /// Types by a part of a tensor's name, llama.cpp's or Hugging Face's: {"attn_v", Q6_K}. The first
  /// that fits counts.
  std::vector<std::pair<std::string, const blocks::BlockType*>> by_name;
  bool needs_zero = false;  ///< pruned weights must stay exactly zero

  /// Throws Error(kUsage) for a type that holds no blocks, or no zero where one is needed.
  void validate() const;

  /// The type that is asked for by name for NAME (a matrix NAME.weight), or nullptr.
  [[nodiscard]] const blocks::BlockType* named(const std::string& name) const;

  /// The type of a matrix of rows of so many columns whatever its damage is: the named one, else
  /// the standard one, or, where its blocks do not divide the columns, the type of blocks of 32
  /// with the next more bits; nullptr when it is planned. Throws Error(kUsage) when no block
  /// divides the columns.
  [[nodiscard]] const blocks::BlockType* fixed(const std::string& name, std::int64_t columns) const;

  /// The types that a plan may choose from for such rows, by their stored bits.
  [[nodiscard]] std::vector<const blocks::BlockType*> menu(std::int64_t columns) const;
};

}  // namespace sgpt_mi::planning

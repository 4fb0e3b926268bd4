#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sgpt_mi::gguf {

/// The divisors of llama3 rope scaling: a tensor of the file that no checkpoint has.
inline constexpr std::string_view kRopeFreqs = "rope_freqs.weight";

/// "blk.N.PART.weight" or ".bias", taken apart.
struct BlockName {
  std::string_view layer;
  std::string_view part;
  std::string_view suffix;  // ".weight", ".bias"
};

/// The parts of a block tensor's name in a GGUF file, or nothing for another name.
[[nodiscard]] std::optional<BlockName> split_block_name(std::string_view name);

/// The Hugging Face name of a GGUF tensor, or nothing when the LLaMA family has no such tensor.
[[nodiscard]] std::optional<std::string> hugging_face_name(const std::string& name);

/// The GGUF name of a Hugging Face tensor, whose "model." in front may be missing, or nothing when
/// the LLaMA family has no such tensor.
[[nodiscard]] std::optional<std::string> gguf_name(const std::string& name);

/// Whether a file of this architecture keeps the rows of every head of a tensor as rotary pairs:
/// q and k of "llama".
enum class PairedRows { kNone, kQuery, kKey };
[[nodiscard]] PairedRows paired_rows(const std::string& gguf_name, const std::string& architecture);

/// Where a row that is stored at `row` belongs: pairs (0, d/2), (1, d/2 + 1), ... back to 0, 1,
/// ..., d - 1, with d = head_rows.
[[nodiscard]] inline std::int64_t unpaired_row(std::int64_t row, std::int64_t head_rows) {
  const std::int64_t inside = row % head_rows;
  return row - inside + inside % 2 * (head_rows / 2) + inside / 2;
}

}  // namespace sgpt_mi::gguf

#include "type_settings.h"

#include <string_view>
#include <utility>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/core/error.h"
#include "width_settings.h"

namespace sgpt_mi::cli {
namespace {

const blocks::BlockType* parse_type(const char* key, const std::string& name) {
  const blocks::BlockType* type = blocks::find_block_type(std::string_view(name));
  if (type != nullptr && type->form != blocks::BlockForm::kPlain) return type;
  std::string known;
  for (const blocks::BlockType& other : blocks::block_types()) {
    if (other.form == blocks::BlockForm::kPlain) continue;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", other.name);
  }
  fail(ErrorKind::kUsage, "{}: '{}' is no type with blocks; there are {}", key, name, known);
}

/// "attn_v=Q6_K,ffn_down=Q5_K"
std::vector<std::pair<std::string, const blocks::BlockType*>> parse_types(const std::string& text) {
  std::vector<std::pair<std::string, const blocks::BlockType*>> types;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string entry = text.substr(at, end - at);
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail(ErrorKind::kUsage, "gguf_types: '{}' is not NAME=TYPE, as in attn_v=Q6_K", entry);
    }
    types.emplace_back(entry.substr(0, equals), parse_type("gguf_types", entry.substr(equals + 1)));
    at = end + 1;
  }
  return types;
}

/// The type that comes next to a width: one of 256 weights that holds a zero where that is needed.
const blocks::BlockType* type_of_width(int bits, bool needs_zero) {
  for (const blocks::BlockType& type : blocks::block_types()) {
    const bool usual = type.form != blocks::BlockForm::kTable &&
                       (type.block_elements == 256 || needs_zero || bits == 8);
    if (usual && type.code_bits == bits && (!needs_zero || type.holds_zero())) return &type;
  }
  fail(ErrorKind::kUsage,
       "wbits: no block type has codes of {} bits{}; give --gguf_type, or 3, 4, 5, 6 or 8", bits,
       needs_zero ? " and an exact zero" : "");
}

/// Whether types are named. Throws Error(kUsage) where the format holds none.
bool names_types(const flags::Settings& typed, const formats::Format& format) {
  const bool named = !typed.gguf_type.empty() || !typed.gguf_types.empty();
  if (!named || format.holds_blocks) return named;
  fail(ErrorKind::kUsage, "gguf_type: format {} holds no blocks of ggml's types; use --format gguf",
       format.name);
}

}  // namespace

std::optional<planning::TypeOptions> export_types(const flags::Settings& typed,
                                                  const formats::Format& format) {
  if (!names_types(typed, format)) return std::nullopt;
  if (typed.gguf_type.empty()) {
    fail(ErrorKind::kUsage, "gguf_types: an export needs --gguf_type for all other matrices");
  }
  planning::TypeOptions types;
  types.standard = parse_type("gguf_type", typed.gguf_type);
  types.by_name = parse_types(typed.gguf_types);
  types.validate();
  return types;
}

std::optional<planning::TypeOptions> type_options(
    const flags::Settings& typed, const formats::Format& format,
    const compress::CompressionSettings& compression) {
  const bool named = names_types(typed, format);
  if (!format.holds_blocks) return std::nullopt;
  if (!named && !asks_for_codes(typed)) return std::nullopt;
  if (compress::has_widths(compression.method)) {
    fail(ErrorKind::kUsage,
         "method {} gives the columns of a matrix several widths, and format {} holds one type a "
         "tensor; use --method rd, sparsegpt or magnitude",
         compress::method_name(compression.method), format.name);
  }
  planning::TypeOptions types;
  types.needs_zero = compression.matrix.prunes();
  types.by_name = parse_types(typed.gguf_types);
  const bool sized = typed.target_stored_bits != 0.0 || !typed.target_bytes.empty();
  if (!typed.gguf_type.empty()) {
    types.standard = parse_type("gguf_type", typed.gguf_type);
  } else if (typed.wbits < 16) {
    types.standard = type_of_width(typed.wbits, types.needs_zero);
  }
  if (sized && types.standard != nullptr) {
    fail(ErrorKind::kUsage,
         "gguf_type: {} for all linears contradicts a size that types are planned for; give one",
         types.standard->name);
  }
  if (!sized && types.standard == nullptr) {
    fail(ErrorKind::kUsage,
         "format {}: say what to plan for or what to take: --target_bytes 700MB, "
         "--target_stored_bits 4.5, --gguf_type Q4_K or --wbits 4",
         format.name);
  }
  types.validate();
  return types;
}

}  // namespace sgpt_mi::cli

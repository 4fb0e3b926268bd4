#include "sgpt_mi/formats/format.h"

#include <algorithm>
#include <array>

#include "gguf_store.h"
#include "model_folders.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/lower_case.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"

namespace sgpt_mi::formats {
namespace {

/// Zero points fill whole words, and so do codes; of 3 bits 32 codes do.
std::int64_t gptq_multiple(int bits) { return bits == 3 ? 32 : 32 / bits; }

constexpr GridLimits gptq_limits(Symmetry symmetry) {
  GridLimits limits;
  limits.widths = integer_layouts::kGptqWidths;
  limits.group_sizes = integer_layouts::kGptqGroupSizes;
  limits.column_widths = false;
  limits.shared_rows = false;
  limits.pruned_only = false;
  limits.levels = false;
  limits.one_width = true;
  limits.symmetry = symmetry;
  limits.scale_exponent = 0;
  limits.exact_values = true;
  limits.mixed_note =
      "matrices that differ in width or group size are written as \"dynamic\" rules, which "
      "gptqmodel's own loader reads and transformers does not";
  limits.multiple_of = gptq_multiple;
  limits.matrix_size = integer_layouts::gptq_size;
  return limits;
}

constexpr GridLimits compressed_tensors_limits() {
  GridLimits limits;
  limits.widths = integer_layouts::kCompressedTensorsWidths;
  limits.missing_widths = " (its releases disagree about the layout of 3 bits)";
  limits.any_order = false;
  limits.column_widths = false;
  limits.shared_rows = false;
  limits.pruned_only = false;
  limits.levels = false;
  limits.symmetry = Symmetry::kImplied;
  limits.scale_exponent = 0;
  limits.exact_values = true;
  limits.asymmetric_note =
      "asymmetric pack-quantized weights are read by compressed-tensors 0.15.0.1 and 0.17.1, and "
      "fail to load in 0.18.0 to 0.20.1";
  limits.matrix_size = integer_layouts::compressed_tensors_size;
  return limits;
}

/// Blocks have limits of their own (blocks::BlockType); what they decode to is float32.
constexpr GridLimits block_limits() {
  GridLimits limits;
  limits.levels = false;
  limits.exact_values = true;
  return limits;
}

constexpr std::array<Format, 6> kFormats{{
    {"packed", "packed", true, false, open_packed_folder},
    {"hf", "Hugging Face folder", false, false, open_hf_folder},
    {"gguf", "GGUF file", false, true, open_gguf_store, block_limits(), check_gguf_model, true},
    {"gptq", "GPTQ, checkpoint_format gptq_v2", true, false, open_gptq_folder,
     gptq_limits(Symmetry::kAsAsked)},
    {"gptq-v1", "GPTQ, checkpoint_format gptq", true, false, open_gptq_v1_folder,
     gptq_limits(Symmetry::kOnly)},
    {"compressed-tensors", "compressed-tensors, pack-quantized", true, false,
     open_compressed_tensors_folder, compressed_tensors_limits()},
}};

}  // namespace

void require_other_place(const std::filesystem::path& target, const ModelLocation& model) {
  std::vector<std::filesystem::path> replaced{target};
  std::vector<std::filesystem::path> own{model.path};
  if (model.is_gguf) {
    replaced = gguf::files_named(target);
    replaced.push_back(target);
    own = gguf::shard_paths(model.path);
  }
  for (const std::filesystem::path& mine : own) {
    for (const std::filesystem::path& theirs : replaced) {
      std::error_code not_there;
      if (!std::filesystem::equivalent(mine, theirs, not_there)) continue;
      fail(ErrorKind::kUsage, "save: {} is the model itself; give another name", target.string());
    }
  }
}

const Format& find_format(std::string_view name) {
  std::string known = "auto";
  for (const Format& format : kFormats) {
    if (format.name == name) return format;
    known += fmt::format(", {}", format.name);
  }
  fail(ErrorKind::kUsage, "format: '{}' is unknown; there are {}", name, known);
}

const Format& default_format(bool holds_codes) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) {
    return format.holds_codes == holds_codes;
  });
  ensure(found != kFormats.end(), "formats: no format of this kind");
  return *found;
}

const Format& format_for(const std::filesystem::path& target, bool holds_codes) {
  return lower_case(target.extension().string()) == ".gguf" ? find_format("gguf")
                                                            : default_format(holds_codes);
}

}  // namespace sgpt_mi::formats

#include "saved_size.h"

#include <memory>
#include <unordered_set>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/safetensors.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::pipeline {
namespace {

/// A safetensors header entry beside the name: type, shape and offsets of up to 20 digits each.
constexpr std::int64_t kHeaderEntryBytes = 128;

std::int64_t header_entry(const std::string& name) {
  return kHeaderEntryBytes + static_cast<std::int64_t>(name.size());
}

}  // namespace

FixedSize fixed_size(const SavedTypes& types, const model::Model& model,
                     const LayerSelection& selection) {
  FixedSize size;
  std::unordered_set<std::string> selected;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    for (const model::LinearInfo& linear : model.block_linears(layer)) {
      if (!selection.contains(layer, linear.name)) continue;
      selected.insert(linear.name + ".weight");
      size.selected_weights += linear.rows * linear.columns;
      size.header_bytes += static_cast<std::int64_t>(io::kPackedPartKinds) *
                           header_entry(linear.name + ".zero_point");
    }
  }
  for (const io::TensorInfo& info : types.tensors()) {
    if (selected.contains(info.name)) continue;
    size.dense_bytes += static_cast<std::int64_t>(info.bytes());
    size.header_bytes += header_entry(info.name);
  }
  return size;
}

std::optional<double> stored_bits_target(const CompressionSettings& settings,
                                         const FixedSize& fixed) {
  const bool planned = settings.plan.has_value() && settings.quantizes();
  if (!settings.widths && !planned) return std::nullopt;
  const WidthTarget& target = planned ? settings.plan->widths.target : settings.widths->target;
  if (!target.bytes) return target.stored_bits;
  const std::int64_t rest = fixed.dense_bytes + fixed.header_bytes;
  if (*target.bytes <= rest) {
    fail(ErrorKind::kUsage,
         "target_bytes: {} are asked for, and the tensors that stay dense take {} already",
         report::human_bytes(*target.bytes), report::human_bytes(rest));
  }
  return 8.0 * static_cast<double>(*target.bytes - rest) /
         static_cast<double>(fixed.selected_weights);
}

std::map<std::string, std::int64_t> bytes_by_part(std::int64_t dense_bytes,
                                                  const io::PackedSize& packed) {
  std::map<std::string, std::int64_t> parts{{"dense", dense_bytes}};
  if (packed.total() == 0) return parts;
  parts["codes"] = packed.codes;
  parts["mask"] = packed.mask;
  parts["scale"] = packed.scale;
  parts["zero_point"] = packed.zero_point;
  parts["permutation"] = packed.permutation;
  parts["record"] = packed.record;
  return parts;
}

std::int64_t tensor_bytes_in(const std::filesystem::path& folder) {
  std::int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const std::unique_ptr<io::TensorSource> file = io::open_safetensors(entry.path());
    for (const io::TensorInfo& info : file->tensors()) {
      bytes += static_cast<std::int64_t>(info.bytes());
    }
  }
  return bytes;
}

}  // namespace sgpt_mi::pipeline

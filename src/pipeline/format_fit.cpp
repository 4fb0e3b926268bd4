#include "format_fit.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/gguf_size.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::pipeline {
namespace {

using compress::CompressionSettings;

constexpr std::int64_t kAlignment = 32;  // of tensor data in a GGUF file, bytes

bool counts_storage(const CompressionSettings& settings) {
  const widths::WidthTarget* target = settings.width_target();
  return target != nullptr && (target->stored_bits || target->bytes);
}

/// Whether a plan may give tensors other widths or groups than their neighbours'.
bool plans_tensors(const CompressionSettings& settings) {
  return settings.plan && settings.quantizes() &&
         (settings.plan->plan_widths || counts_storage(settings));
}

std::vector<int> widths_of(const CompressionSettings& settings) {
  if (settings.widths) return settings.widths->levels;
  if (plans_tensors(settings)) return settings.plan->widths.levels;
  return settings.quantizes() ? std::vector<int>{settings.matrix.wbits} : std::vector<int>{};
}

/// Groups of columns with grids of their own; 1: none, 0: as many as channels or as found.
std::int64_t groups_of(const CompressionSettings& settings) {
  if (settings.plan && settings.quantizes()) return settings.plan->widths.grouping.groups;
  if (!settings.widths) return 1;
  const widths::GroupingOptions& grouping = settings.widths->grouping;
  return grouping.grouping == widths::Grouping::kChannels ? 1 : grouping.groups;
}

formats::GridRequest request_of(const CompressionSettings& settings) {
  const obs::CompressOptions& matrix = settings.matrix;
  formats::GridRequest request;
  request.widths = widths_of(settings);
  request.group_size = matrix.groupsize;
  const bool fits_on_the_way =
      matrix.groupsize != -1 && !matrix.static_groups && !matrix.refine.grid_after_mask;
  const bool groups = groups_of(settings) != 1;
  request.sorted_groups = groups || (matrix.act_order && fits_on_the_way);
  request.column_widths = (groups || settings.widths) && request.widths.size() > 1;
  request.shared_rows =
      settings.widths && settings.widths->sharing != quant::GridSharing::kRowGroup;
  request.symmetric = matrix.symmetric;
  return request;
}

/// Embedding and head that get levels: not where projections stand between them and the blocks.
std::vector<formats::MatrixShape> level_ends(const Session& session,
                                             const CompressionSettings& settings) {
  const model::ModelSpec& spec = session.model.spec();
  const bool projected = spec.word_embed_dim != 0 && spec.word_embed_dim != spec.hidden;
  if (!wants_level_ends(settings) || projected) return {};
  return planning::end_matrices(session.checkpoint, session.model.spec());
}

/// The smallest file that types can make of a model.
struct SmallestFile {
  std::int64_t bytes = 0;
  std::int64_t planned_bits = 0;  ///< of those, in matrices whose type is planned or fixed
};

SmallestFile smallest_file(const CompressionSettings& settings, const Session& session,
                           const formats::SavedTypes& saved) {
  const planning::TypeOptions& types = *settings.types;
  formats::BlockTypes chosen;
  SmallestFile smallest;
  std::int64_t padding = 0;
  const auto add = [&](const formats::MatrixShape& matrix, const blocks::BlockType* fixed,
                       bool planned) {
    const blocks::BlockType* type =
        fixed != nullptr ? fixed : planning::smallest_type(types, matrix);
    chosen[matrix.name] = type;
    const std::int64_t bits =
        matrix.rows * matrix.columns / type->block_elements * type->block_bytes * 8;
    if (planned) smallest.planned_bits += bits;
    if (matrix.rows % kAlignment != 0) padding += kAlignment - 1;  // of another type's data
  };
  for (const model::LinearInfo& linear :
       walk::selected_linears(session.model, settings.selection)) {
    add({linear.name, linear.rows, linear.columns}, types.fixed(linear.name, linear.columns), true);
  }
  for (const formats::MatrixShape& matrix : types.ends) {
    const blocks::BlockType* fixed = types.fixed_end(matrix);
    add(matrix, fixed, fixed == nullptr);
  }
  smallest.bytes = formats::gguf_size(session.checkpoint, saved, chosen).file + padding;
  return smallest;
}

/// Tells where another type than the asked one stands in for it.
void warn_of_types(const planning::TypeOptions& types,
                   const std::vector<model::LinearInfo>& selected, report::Events& events) {
  if (types.standard == nullptr) return;
  std::map<std::string_view, int> others;
  for (const model::LinearInfo& linear : selected) {
    const bool by_name = types.named(linear.name) != nullptr;
    const blocks::BlockType* type = types.fixed(linear.name, linear.columns);
    if (!by_name && type != types.standard) ++others[type->name];
  }
  for (const auto& [name, count] : others) {
    events.warning(fmt::format("{} linears get {}: the blocks of {} do not divide their rows",
                               count, name, types.standard->name));
  }
}

}  // namespace

bool wants_level_ends(const CompressionSettings& settings) {
  return settings.entropy && settings.plan && !settings.keep_embeddings &&
         settings.plan->sensitivity == planning::Sensitivity::kFisher;
}

void take_format(CompressRun& run, const FormatWishes& wishes) {
  const formats::GridLimits& grids = run.format.grids;
  CompressionSettings& settings = run.compression;
  obs::CompressOptions& matrix = settings.matrix;
  settings.grids = grids;
  matrix.stored_scales = run.format.holds_codes;
  matrix.stored_exponent = grids.scale_exponent;
  if (!run.format.holds_codes) return;
  if (matrix.wbits < 16) {
    formats::require_held(grids, {{matrix.wbits}, -1, false, false, false, true}, run.format.name);
  }
  if (grids.symmetry != formats::Symmetry::kAsAsked && !wishes.asymmetric) matrix.symmetric = true;
  const auto keep_held = [&](std::vector<int>& levels) {
    if (wishes.levels) return;
    std::erase_if(levels, [&](int bits) { return !grids.holds_width(bits); });
  };
  if (settings.widths) keep_held(settings.widths->levels);
  if (!settings.plan) return;
  keep_held(settings.plan->widths.levels);
  if (grids.one_width && !wishes.tensor_widths) settings.plan->plan_widths = false;
}

void require_format(const CompressRun& run) {
  if (!run.format.holds_codes) return;
  formats::require_held(run.format.grids, request_of(run.compression), run.format.name);
  if (run.compression.widths && !run.format.grids.column_widths &&
      counts_storage(run.compression)) {
    fail(ErrorKind::kUsage,
         "format: sizes in {} are planned by --method rd; use it, or --format packed",
         run.format.name);
  }
}

void require_linear(const CompressRun& run, const model::LinearInfo& linear) {
  if (!run.format.holds_codes) return;
  const formats::GridLimits& grids = run.format.grids;
  formats::require_whole_groups(grids, linear.name, linear.columns,
                                run.compression.matrix.groupsize, run.format.name);
  for (const int bits : widths_of(run.compression)) {
    formats::require_shape(grids, linear.name, linear.rows, linear.columns, bits, run.format.name);
  }
  if (grids.group_sizes.empty()) return;
  const std::int64_t least = grids.group_sizes.front();
  const std::int64_t most = (linear.columns + least - 1) / least;
  const std::int64_t groups = groups_of(run.compression);
  if (groups >= 1 && groups <= most) return;
  fail(ErrorKind::kUsage,
       "n_groups: {} has {} columns, which {} keeps in at most {} groups; give --n_groups {}",
       linear.name, linear.columns, run.format.name, most, most);
}

void warn_of_format(const CompressRun& run, const Session& session, report::Events& events) {
  const formats::GridLimits& grids = run.format.grids;
  const auto selected = walk::selected_linears(session.model, run.compression.selection);
  if (run.compression.types) warn_of_types(*run.compression.types, selected, events);
  if (!run.format.holds_codes) return;
  const bool all_linears = walk::selected_linears(session.model, {}).size() == selected.size();
  const bool mixed =
      plans_tensors(run.compression) || groups_of(run.compression) != 1 || !all_linears;
  if (!grids.mixed_note.empty() && mixed) {
    events.warning(std::string(grids.mixed_note));
  }
  if (!grids.asymmetric_note.empty() && !run.compression.matrix.symmetric) {
    events.warning(std::string(grids.asymmetric_note));
  }
}

compress::CompressionSettings with_types(const CompressRun& run, const Session& session,
                                         const formats::SavedTypes& saved) {
  CompressionSettings result = run.compression;
  result.level_ends = level_ends(session, result);
  if (!result.types) return result;
  planning::TypeOptions& types = *result.types;
  types.ends = planning::end_matrices(session.checkpoint, session.model.spec());
  const widths::WidthTarget* target = result.width_target();
  if (target == nullptr || !target->bytes) return result;
  types.budget_bits = 0;  // embedding and head are planned too
  SmallestFile smallest = smallest_file(result, session, saved);
  smallest.bytes +=
      gguf::most_split_bytes(*target->bytes, std::ssize(saved.tensors()), run.shard_bytes);
  if (*target->bytes < smallest.bytes) {
    fail(ErrorKind::kUsage,
         "target_bytes: {} are asked for, and the smallest file of this model takes {}; ask for "
         "that or more",
         human_bytes(*target->bytes), human_bytes(smallest.bytes));
  }
  types.budget_bits = smallest.planned_bits + 8 * (*target->bytes - smallest.bytes);
  return result;
}

std::int64_t bytes_without(const planning::Measurements& measurements,
                           const CompressionSettings& settings, const Session& session,
                           const formats::SavedTypes& saved) {
  formats::BlockTypes types;
  std::int64_t measured = 0;
  for (const formats::MatrixShape& end :
       planning::end_matrices(session.checkpoint, session.model.spec())) {
    types[end.name] = settings.types->fixed_end(end);
  }
  for (const planning::LinearCurves& linear : measurements.linears) {
    const blocks::BlockType* type = blocks::find_block_type(std::string_view("Q8_0"));
    types[linear.name] = type;
    measured += linear.weights() / type->block_elements * type->block_bytes;
  }
  std::erase_if(types, [](const auto& entry) { return entry.second == nullptr; });
  return formats::gguf_size(session.checkpoint, saved, types).file - measured;
}

std::int64_t most_saved_bytes(const CompressRun& run, const Session& session,
                              const formats::SavedTypes& saved) {
  const CompressionSettings& settings = run.compression;
  const widths::WidthTarget* target = settings.width_target();
  if (target != nullptr && target->bytes) return *target->bytes;
  if (run.format.holds_blocks && settings.types) {
    return target != nullptr ? static_cast<std::int64_t>(saved.bytes())
                             : smallest_file(with_types(run, session, saved), session, saved).bytes;
  }
  if (!run.format.holds_codes || !settings.quantizes())
    return static_cast<std::int64_t>(saved.bytes());
  const double mask = settings.matrix.sparsity > 0.0 || settings.matrix.prune_m > 0 ? 1.0 : 0.0;
  constexpr double kGrid = 1.0;  // of grids of 32 columns, the smallest that are planned
  const double code = target != nullptr
                          ? std::max({target->average_bits, target->attention_bits.value_or(0.0),
                                      target->ffn_bits.value_or(0.0)})
                          : settings.matrix.wbits;
  const double bits =
      target != nullptr && target->stored_bits ? *target->stored_bits : code + mask + kGrid;
  std::vector<formats::MatrixShape> shapes;
  for (const model::LinearInfo& linear :
       walk::selected_linears(session.model, settings.selection)) {
    shapes.push_back({linear.name, linear.rows, linear.columns});
  }
  const formats::FixedSize fixed = formats::fixed_size(saved, shapes);
  return fixed.dense_bytes + fixed.header_bytes +
         static_cast<std::int64_t>(bits / 8.0 * static_cast<double>(fixed.selected_weights));
}

formats::SavedTypes saved_types(const Session& session, const CompressionSettings& settings) {
  std::unordered_set<std::string> exact;
  if (settings.grids.exact_values) {
    for (const model::LinearInfo& linear :
         walk::selected_linears(session.model, settings.selection)) {
      exact.insert(linear.name + ".weight");
    }
  }
  if (settings.types) {
    for (const formats::MatrixShape& end :
         planning::end_matrices(session.checkpoint, session.model.spec()))
      exact.insert(end.name + ".weight");
    const formats::SavedTypes as_stored(session.checkpoint);
    for (const containers::TensorInfo& info : session.checkpoint.tensors->tensors()) {
      if (as_stored.kept_blocks(info.name) != nullptr) exact.insert(info.name);
    }
  }
  return formats::SavedTypes(session.checkpoint, exact);
}

}  // namespace sgpt_mi::pipeline

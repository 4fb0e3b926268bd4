#include "sgpt_mi/convert/export.h"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <set>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/fit_checkpoint.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::convert {
namespace {

/// The command that makes a model of this format from the dense one.
std::string compress_command(const formats::Format& format) {
  return fmt::format("sgpt-mi compress MODEL DATASET --format {} --wbits 4 --save DIR",
                     format.name);
}

/// A matrix as the format holds it. Throws Error(kUsage) where it cannot.
packing::UnpackedCodes codes_for(const formats::Format& format, const formats::CodeSource& source,
                                 const packing::PackedMatrixInfo& matrix) {
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::kUsage,
         "export: {} has {}, which format {} does not hold; export it as hf or gguf, or compress "
         "the dense "
         "model for this format: {}",
         matrix.name, what, format.name, compress_command(format));
  };
  if (matrix.grid_rows == 0) refuse("no codes");
  packing::UnpackedCodes codes = source.read_codes(matrix.name);
  const std::string reason = formats::why_not_held(format.grids, codes.view());
  if (!reason.empty()) refuse(reason);
  const std::optional<int> exponent = format.grids.scale_exponent;
  if (exponent && !codes.set_exponent(*exponent)) refuse("scales beyond the range of float16");
  return codes;
}

/// Bytes that a format takes for a matrix. Entropy-coded ones are coded to be counted, unless they
/// have been.
packing::PackedSize size_of(const formats::Format& format, const packing::CodedMatrix& matrix) {
  if (!matrix.levels.empty())
    return packing::packed_size(packing::pack_matrix("", matrix, quant::torch_threads()));
  return format.grids.matrix_size(packing::packed_shape(matrix));
}

/// Hands a matrix to the store, its levels coded once for its size and the file. bytes_to_write()
/// has coded them before: kept, they would be the whole file in memory.
void put_matrix(const std::string& name, const packing::UnpackedCodes& codes,
                const formats::Format& format, formats::SavingStore& store) {
  packing::CodedMatrix matrix = codes.view();
  entropy::CodedLevels coded;
  if (!matrix.levels.empty()) {
    coded =
        entropy::encode_levels(matrix.levels, matrix.rows, matrix.columns, quant::torch_threads());
    matrix.coded = &coded;
  }
  store.put_matrix(name, matrix, size_of(format, matrix));
}

/// Bytes that the weight files will have, those of a format with codes after a look at every
/// matrix: its size follows from widths and masks, which formats lay out in their own ways.
std::int64_t bytes_to_write(const formats::Format& format, const formats::Checkpoint& checkpoint,
                            const formats::SavedTypes& types) {
  if (!format.holds_codes) return static_cast<std::int64_t>(types.bytes());
  std::vector<formats::MatrixShape> shapes;
  std::int64_t bytes = 0;
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    check_interrupt();
    const packing::UnpackedCodes codes = codes_for(format, *checkpoint.codes, matrix);
    bytes += size_of(format, codes.view()).total();
    shapes.push_back({matrix.name, codes.rows, codes.columns});
  }
  const formats::FixedSize fixed = formats::fixed_size(types, shapes);
  return bytes + fixed.dense_bytes + fixed.header_bytes;
}

/// Writes the matrices of a checkpoint with codes; says which readers cannot load them.
void put_codes(const formats::Format& format, const formats::Checkpoint& checkpoint,
               formats::SavingStore& store, report::Events& events) {
  std::set<std::pair<int, std::int64_t>> schemes;  // bits, columns that share a grid
  bool symmetric = true;
  std::int64_t done = 0;
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    check_interrupt();
    const packing::UnpackedCodes codes = codes_for(format, *checkpoint.codes, matrix);
    put_matrix(matrix.name, codes, format, store);
    events.progress(++done);
    if (!codes.levels.empty()) continue;  // no width, no zero points
    const auto groups = static_cast<std::int64_t>(codes.bits_of_group.size());
    schemes.emplace(codes.bits_of_group.front(), groups == 1 ? -1 : codes.columns / groups);
    symmetric = symmetric && codes.view().symmetric;
  }
  const formats::GridLimits& grids = format.grids;
  if (schemes.size() > 1 && !grids.mixed_note.empty()) {
    events.warning(std::string(grids.mixed_note));
  }
  if (!symmetric && !grids.asymmetric_note.empty()) {
    events.warning(std::string(grids.asymmetric_note));
  }
}

/// Writes linears, embedding and head of a checkpoint in blocks.
void put_blocks(const planning::TypeOptions& types, const formats::Checkpoint& checkpoint,
                const model::Model& model, formats::SavingStore& store, report::Events& events) {
  std::vector<formats::MatrixShape> matrices = planning::end_matrices(checkpoint, model.spec());
  for (const model::LinearInfo& linear : walk::selected_linears(model, {})) {
    matrices.push_back({linear.name, linear.rows, linear.columns});
  }
  events.stage("export", static_cast<std::int64_t>(matrices.size()));
  std::int64_t done = 0;
  for (const formats::MatrixShape& matrix : matrices) {
    check_interrupt();
    const blocks::BlockType* type = types.fixed(matrix.name, matrix.columns);
    const torch::Tensor dense = model::to_torch(checkpoint.tensors->read(matrix.tensor()));
    const quant::BlockRounding rounded = quant::round_to_blocks(dense, *type, dense.scalar_type());
    store.put_blocks(matrix.name, {type, matrix.rows, matrix.columns, rounded.bytes});
    events.progress(++done);
  }
}

std::unordered_set<std::string> exact_tensors(const formats::Format& format,
                                              const formats::Checkpoint& checkpoint) {
  std::unordered_set<std::string> exact;
  if (!format.holds_codes || !format.grids.exact_values) return exact;
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    exact.insert(matrix.dense.name);
  }
  return exact;
}

}  // namespace

void export_model(const std::string& source, const ExportTarget& target, report::Events& events) {
  const formats::Format& format = target.format;
  const formats::ModelLocation location = formats::locate_model(source);
  std::error_code error;
  if (std::filesystem::equivalent(location.path, target.path, error)) {
    fail(ErrorKind::kUsage, "export: {} is the source itself; give another name",
         target.path.string());
  }
  const formats::Checkpoint checkpoint = model::open_model(source, quant::torch_threads());
  for (const std::string& note : checkpoint.notes) events.warning(note);
  if (format.holds_codes && checkpoint.codes == nullptr) {
    fail(ErrorKind::kUsage, "export: {} has no codes for format {}; compress it: {}", source,
         format.name, compress_command(format));
  }
  const model::Model checked(checkpoint);  // a folder that no program could load is not written
  const formats::SavedTypes types(checkpoint, exact_tensors(format, checkpoint));
  if (format.check != nullptr) format.check(checkpoint);
  formats::require_space(target.path, bytes_to_write(format, checkpoint, types));
  const auto store = format.open(target.path, checkpoint, types);
  if (target.shard_bytes > 0) store->split_above(target.shard_bytes);
  const auto steps = format.holds_codes ? checkpoint.packed_matrices.size() : 1U;
  if (!target.types) events.stage("export", static_cast<std::int64_t>(steps));
  if (format.holds_codes) put_codes(format, checkpoint, *store, events);
  if (target.types) put_blocks(*target.types, checkpoint, checked, *store, events);
  const std::filesystem::path report = location.path / formats::SavingStore::kReportFile;
  const bool has_report = location.is_folder() && std::filesystem::exists(report);
  store->finish([&](std::int64_t /*file_bytes*/) {
    return has_report ? documents::read_text_file(report) : std::string("{}\n");
  });
  if (!format.holds_codes && !target.types) events.progress(1);
  events.result(fmt::format("{} tensors of {} written to {}", types.tensors().size(),
                            checked.spec().model_type, target.path.string()));
}

}  // namespace sgpt_mi::convert

#include "sgpt_mi/formats/saved_size.h"

#include <system_error>
#include <unordered_set>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::formats {
namespace {

/// A safetensors header entry beside the name: 49 bytes, a shape, and offsets of up to 13 digits.
constexpr std::int64_t kHeaderEntryBytes = 100;

std::int64_t header_entry(const std::string& name) {
  return kHeaderEntryBytes + static_cast<std::int64_t>(name.size());
}

}  // namespace

FixedSize fixed_size(const SavedTypes& types, const std::vector<MatrixShape>& selected,
                     std::size_t parts) {
  FixedSize size;
  std::unordered_set<std::string> replaced;
  for (const MatrixShape& matrix : selected) {
    replaced.insert(matrix.name + ".weight");
    size.selected_weights += matrix.rows * matrix.columns;
    size.header_bytes +=
        static_cast<std::int64_t>(parts) * header_entry(matrix.name + ".column_scale");
  }
  for (const containers::TensorInfo& info : types.tensors()) {
    if (replaced.contains(info.name)) continue;
    size.dense_bytes += static_cast<std::int64_t>(info.bytes());
    size.header_bytes += header_entry(info.name);
  }
  return size;
}

std::map<std::string, std::int64_t> bytes_by_part(std::int64_t dense_bytes,
                                                  const packing::PackedSize& packed) {
  std::map<std::string, std::int64_t> parts{{"dense", dense_bytes}};
  if (packed.total() == 0) return parts;
  parts["codes"] = packed.codes;
  if (packed.tables != 0) parts["tables"] = packed.tables;
  parts["mask"] = packed.mask;
  parts["scale"] = packed.scale;
  parts["zero_point"] = packed.zero_point;
  parts["permutation"] = packed.permutation;
  parts["record"] = packed.record;
  return parts;
}

void require_space(const std::filesystem::path& target, std::int64_t bytes) {
  std::filesystem::path folder = std::filesystem::absolute(target).parent_path();
  std::error_code error;
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error || static_cast<std::int64_t>(space.available) >= bytes) return;
  fail(ErrorKind::kInput, "save: {} has {} free, {} needs {} more; free room or save elsewhere",
       folder.string(), human_bytes(static_cast<std::int64_t>(space.available)), target.string(),
       human_bytes(bytes));
}

std::int64_t weight_file_bytes(const ModelLocation& location) {
  std::int64_t bytes = 0;
  for (const std::filesystem::path& file : weight_files(location)) {
    bytes += static_cast<std::int64_t>(std::filesystem::file_size(file));
  }
  return bytes;
}

}  // namespace sgpt_mi::formats

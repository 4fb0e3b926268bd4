#include "sgpt_mi/formats/packed_checkpoint.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"
#include "shard_writer.h"

namespace sgpt_mi::formats {
namespace {

using NameSet = std::unordered_set<std::string>;

template <typename... Args>
[[noreturn]] void refuse(const std::string& source, fmt::format_string<Args...> format,
                         Args&&... args) {
  fail(ErrorKind::kInput, "io: {}: {}", source, fmt::format(format, std::forward<Args>(args)...));
}

std::vector<std::string> read_matrix_names(const nlohmann::json& quantization,
                                           const std::string& source) {
  const auto list = quantization.find("matrices");
  if (list == quantization.end() || !list->is_array()) {
    refuse(source, "quantization_config has no \"matrices\"; a list of names was expected");
  }
  std::vector<std::string> names;
  NameSet seen;
  for (const nlohmann::json& name : *list) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty()) {
      refuse(source, "quantization_config lists {} among its matrices; names were expected",
             name.dump());
    }
    names.push_back(name.get<std::string>());
    if (!seen.insert(names.back()).second) {
      refuse(source, "quantization_config lists matrix '{}' twice", names.back());
    }
  }
  return names;
}

/// The matrices that config.json lists, after its version has been checked.
std::vector<std::string> read_config(const nlohmann::json& config, const std::string& source) {
  const nlohmann::json& quantization = config.at("quantization_config");
  const auto version = quantization.find("format_version");
  if (version == quantization.end() || !version->is_number_integer()) {
    refuse(source, "quantization_config has no \"format_version\"; {} was expected",
           packing::kPackedFormatVersion);
  }
  if (*version != packing::kPackedFormatVersion) {
    refuse(source,
           "quantization_config has format_version {}; this program reads version {}: use "
           "the program that wrote it, or a newer one",
           version->dump(), packing::kPackedFormatVersion);
  }
  return read_matrix_names(quantization, source);
}

/// A tensor name taken apart: a matrix and one of its parts.
struct PartName {
  std::string matrix;
  packing::PackedPartKind kind;
};

std::optional<PartName> part_name(const std::string& tensor) {
  for (std::size_t i = 0; i < packing::kPackedPartKinds; ++i) {
    const auto kind = static_cast<packing::PackedPartKind>(i);
    const std::string_view suffix = packing::packed_suffix(kind);
    if (tensor.size() > suffix.size() && tensor.ends_with(suffix)) {
      return PartName{tensor.substr(0, tensor.size() - suffix.size()), kind};
    }
  }
  return std::nullopt;
}

/// The tensors that the dense model would have: a matrix takes the place of its record.
std::vector<containers::TensorInfo> dense_tensors(
    const containers::TensorSource& stored, const std::vector<packing::PackedMatrixInfo>& matrices,
    const std::string& source) {
  std::unordered_map<std::string, const packing::PackedMatrixInfo*> by_name;
  for (const packing::PackedMatrixInfo& matrix : matrices) by_name.emplace(matrix.name, &matrix);
  std::vector<containers::TensorInfo> tensors;
  for (const containers::TensorInfo& info : stored.tensors()) {
    const std::optional<PartName> part = part_name(info.name);
    if (!part) {
      tensors.push_back(info);
      continue;
    }
    const auto matrix = by_name.find(part->matrix);
    if (matrix == by_name.end()) {
      refuse(source,
             "tensor '{}' is part of a packed matrix that quantization_config does not list",
             info.name);
    }
    if (part->kind == packing::PackedPartKind::kRecord) tensors.push_back(matrix->second->dense);
  }
  return tensors;
}

class PackedSource : public containers::IndexedSource, public CodeSource {
 public:
  PackedSource(std::unique_ptr<containers::TensorSource> stored,
               std::vector<containers::TensorInfo> tensors,
               const std::vector<packing::PackedMatrixInfo>& matrices, const std::string& source,
               ParallelFor parallel_for)
      : containers::IndexedSource(source, std::move(tensors)),
        stored_(std::move(stored)),
        source_(source),
        parallel_for_(std::move(parallel_for)) {
    for (const packing::PackedMatrixInfo& matrix : matrices)
      packed_.emplace(matrix.dense.name, matrix.name);
  }

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const containers::TensorInfo& info = tensors()[position(name)];
    const auto matrix = packed_.find(name);
    if (matrix == packed_.end()) return stored_->read(name);
    const auto buffer = std::make_shared<const std::vector<std::byte>>(packing::unpack_matrix(
        packing::find_packed_parts(*stored_, matrix->second, source_), parallel_for_));
    return {info, *buffer, buffer};
  }

  [[nodiscard]] std::optional<packing::PackedParts> packed_parts(
      const std::string& tensor) const override {
    const auto matrix = packed_.find(tensor);
    if (matrix == packed_.end()) return std::nullopt;
    return packing::find_packed_parts(*stored_, matrix->second, source_);
  }

  [[nodiscard]] packing::UnpackedCodes read_codes(const std::string& name) const override {
    return packing::unpack_codes(packing::find_packed_parts(*stored_, name, source_),
                                 parallel_for_);
  }

  void will_need(const std::string& name) const override {
    for_stored(name, [this](const std::string& stored) { stored_->will_need(stored); });
  }

  void done_with(const std::string& name) const override {
    for_stored(name, [this](const std::string& stored) { stored_->done_with(stored); });
  }

 private:
  /// Calls for the tensors of the files that a tensor is made of.
  template <typename Call>
  void for_stored(const std::string& name, const Call& call) const {
    const auto matrix = packed_.find(name);
    if (matrix == packed_.end()) return call(name);
    for (std::size_t kind = 0; kind < packing::kPackedPartKinds; ++kind) {
      call(matrix->second +
           std::string(packing::packed_suffix(static_cast<packing::PackedPartKind>(kind))));
    }
  }

  std::unique_ptr<containers::TensorSource> stored_;
  std::string source_;
  ParallelFor parallel_for_;
  std::unordered_map<std::string, std::string> packed_;  // dense tensor -> matrix
};

}  // namespace

nlohmann::ordered_json packed_quantization_config(const std::vector<std::string>& matrices) {
  return {{"quant_method", kPackedQuantMethod},
          {"format_version", packing::kPackedFormatVersion},
          {"matrices", matrices}};
}

bool is_packed_config(const nlohmann::json& config) {
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || !quantization->is_object()) return false;
  const auto method = quantization->find("quant_method");
  return method != quantization->end() && *method == kPackedQuantMethod;
}

PackedCheckpoint open_packed(std::unique_ptr<containers::TensorSource> stored,
                             const nlohmann::json& config, const std::string& source,
                             ParallelFor parallel_for) {
  PackedCheckpoint checkpoint;
  for (const std::string& name : read_config(config, source)) {
    if (stored->find(name + ".weight") != nullptr) {
      refuse(source,
             "matrix '{}' is listed as packed, but the dense tensor '{}.weight' is there, too",
             name, name);
    }
    checkpoint.matrices.push_back(
        packing::describe_packed(packing::find_packed_parts(*stored, name, source)));
  }
  std::vector<containers::TensorInfo> tensors = dense_tensors(*stored, checkpoint.matrices, source);
  auto opened = std::make_unique<PackedSource>(
      std::move(stored), std::move(tensors), checkpoint.matrices, source, std::move(parallel_for));
  checkpoint.codes = opened.get();
  checkpoint.tensors = std::move(opened);
  return checkpoint;
}

struct PackedWriter::State {
  std::filesystem::path folder;
  ShardWriter shards;
  std::vector<std::string> matrices;
};

PackedWriter::PackedWriter(const std::filesystem::path& folder, std::size_t shard_bytes)
    : state_(std::make_unique<State>(State{folder, ShardWriter(folder, shard_bytes), {}})) {}

PackedWriter::~PackedWriter() = default;

void PackedWriter::split_above(std::size_t shard_bytes) { state_->shards.split_above(shard_bytes); }

packing::PackedSize PackedWriter::put_matrix(const std::string& name,
                                             const packing::CodedMatrix& matrix) {
  std::vector<packing::PackedPart> parts = packing::pack_matrix(name, matrix);
  const packing::PackedSize size = packing::packed_size(parts);
  for (packing::PackedPart& part : parts) {
    state_->shards.put(std::move(part.info), std::move(part.bytes));
  }
  state_->matrices.push_back(name);
  return size;
}

void PackedWriter::put_dense(const containers::TensorData& tensor) { state_->shards.put(tensor); }

std::int64_t PackedWriter::finish(const nlohmann::json& config) {
  const std::int64_t bytes = state_->shards.finish();
  nlohmann::json packed = config;
  packed["quantization_config"] = packed_quantization_config(state_->matrices);
  io::write_file_atomic(state_->folder / "config.json", packed.dump(2) + "\n");
  return bytes;
}

}  // namespace sgpt_mi::formats

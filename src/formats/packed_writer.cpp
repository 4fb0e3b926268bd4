#include <limits>
#include <map>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::formats {

namespace fs = std::filesystem;

struct PackedWriter::State {
  fs::path folder;
  std::size_t shard_bytes = 0;
  std::vector<std::string> matrices;
  std::unordered_set<std::string> names;        // of all tensors so far
  std::vector<containers::TensorData> waiting;  // of the next shard
  std::size_t waiting_bytes = 0;
  std::vector<std::vector<std::string>> shards;  // tensor names of those written
  std::size_t tensor_bytes = 0;

  /// A shard's folder until its final name, which tells how many there are, is known.
  [[nodiscard]] fs::path place(std::size_t shard) const {
    return folder / fmt::format("shard-{}", shard);
  }
  void put(containers::TensorData tensor);
  void write_shard();
  void name_shards();
};

void PackedWriter::State::put(containers::TensorData tensor) {
  if (!names.insert(tensor.info.name).second) {
    fail(ErrorKind::kInternal, "io: tensor '{}' was written twice", tensor.info.name);
  }
  const std::size_t bytes = tensor.bytes.size();
  if (!waiting.empty() && waiting_bytes + bytes > shard_bytes) write_shard();
  waiting.push_back(std::move(tensor));
  waiting_bytes += bytes;
  tensor_bytes += bytes;
}

void PackedWriter::State::write_shard() {
  std::vector<containers::TensorInfo> infos;
  std::vector<std::string> shard_names;
  for (const containers::TensorData& tensor : waiting) {
    infos.push_back(tensor.info);
    shard_names.push_back(tensor.info.name);
  }
  const fs::path shard = place(shards.size());
  fs::create_directory(shard);
  containers::SafetensorsWriter writer(shard, std::move(infos),
                                       std::numeric_limits<std::size_t>::max());
  for (const containers::TensorData& tensor : waiting) writer.put(tensor.info.name, tensor.bytes);
  writer.finish();
  shards.push_back(std::move(shard_names));
  waiting.clear();
  waiting_bytes = 0;
}

void PackedWriter::State::name_shards() {
  std::map<std::string, std::string> file_of_tensor;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string file = containers::shard_name(i, shards.size());
    fs::rename(place(i) / containers::shard_name(0, 1), folder / file);
    fs::remove(place(i));
    for (const std::string& tensor : shards[i]) file_of_tensor[tensor] = file;
  }
  if (shards.size() == 1) return;
  io::write_file_atomic(folder / containers::kShardIndexName,
                        containers::shard_index(file_of_tensor, tensor_bytes));
}

PackedWriter::PackedWriter(fs::path folder, std::size_t shard_bytes)
    : state_(std::make_unique<State>()) {
  state_->folder = std::move(folder);
  state_->shard_bytes = shard_bytes;
}

PackedWriter::~PackedWriter() = default;

void PackedWriter::split_above(std::size_t shard_bytes) { state_->shard_bytes = shard_bytes; }

packing::PackedSize PackedWriter::put_matrix(const std::string& name,
                                             const packing::CodedMatrix& matrix) {
  std::vector<packing::PackedPart> parts = packing::pack_matrix(name, matrix);
  const packing::PackedSize size = packing::packed_size(parts);
  for (packing::PackedPart& part : parts) {
    const auto buffer = std::make_shared<const std::vector<std::byte>>(std::move(part.bytes));
    state_->put({std::move(part.info), *buffer, buffer});
  }
  state_->matrices.push_back(name);
  return size;
}

void PackedWriter::put_dense(const containers::TensorData& tensor) {
  ensure(tensor.owner != nullptr, "io: a tensor to be written later has no owner");
  state_->put(tensor);
}

void PackedWriter::finish(const nlohmann::json& config) {
  if (!state_->waiting.empty()) state_->write_shard();
  try {
    state_->name_shards();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::kInput, "io: the shards in {} cannot get their names: {}",
         state_->folder.string(), error.code().message());
  }
  nlohmann::json packed = config;
  packed["quantization_config"] = packed_quantization_config(state_->matrices);
  io::write_file_atomic(state_->folder / "config.json", packed.dump(2) + "\n");
}

}  // namespace sgpt_mi::formats

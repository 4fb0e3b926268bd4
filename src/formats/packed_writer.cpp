#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/io/output.h"
#include "shard_writer.h"

namespace sgpt_mi::formats {

struct PackedWriter::State {
  std::filesystem::path folder;
  ShardWriter shards;
  std::vector<std::string> matrices;
};

PackedWriter::PackedWriter(std::filesystem::path folder, std::size_t shard_bytes)
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

void PackedWriter::finish(const nlohmann::json& config) {
  state_->shards.finish();
  nlohmann::json packed = config;
  packed["quantization_config"] = packed_quantization_config(state_->matrices);
  io::write_file_atomic(state_->folder / "config.json", packed.dump(2) + "\n");
}

}  // namespace sgpt_mi::formats

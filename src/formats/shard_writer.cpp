#include "shard_writer.h"

#include <limits>
#include <map>
#include <system_error>
#include <utility>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::formats {

namespace fs = std::filesystem;

ShardWriter::ShardWriter(fs::path folder, std::size_t shard_bytes)
    : folder_(std::move(folder)), shard_bytes_(shard_bytes) {}

fs::path ShardWriter::place(std::size_t shard) const {
  return folder_ / fmt::format("shard-{}", shard);
}

void ShardWriter::put(containers::TensorData tensor) {
  ensure(tensor.owner != nullptr, "io: a tensor to be written later has no owner");
  if (!names_.insert(tensor.info.name).second) {
    fail(ErrorKind::kInternal, "io: tensor '{}' was written twice", tensor.info.name);
  }
  const std::size_t bytes = tensor.bytes.size();
  if (!waiting_.empty() && waiting_bytes_ + bytes > shard_bytes_) write_shard();
  waiting_.push_back(std::move(tensor));
  waiting_bytes_ += bytes;
  tensor_bytes_ += bytes;
}

void ShardWriter::put(containers::TensorInfo info, std::vector<std::byte> bytes) {
  const auto buffer = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  put({std::move(info), *buffer, buffer});
}

void ShardWriter::write_shard() {
  std::vector<containers::TensorInfo> infos;
  std::vector<std::string> shard_names;
  for (const containers::TensorData& tensor : waiting_) {
    infos.push_back(tensor.info);
    shard_names.push_back(tensor.info.name);
  }
  const fs::path shard = place(shards_.size());
  std::error_code error;
  fs::create_directory(shard, error);
  if (error) io::fail_output(shard, error.value());
  containers::SafetensorsWriter writer(shard, std::move(infos),
                                       std::numeric_limits<std::size_t>::max());
  for (const containers::TensorData& tensor : waiting_) writer.put(tensor.info.name, tensor.bytes);
  writer.finish();
  header_bytes_ += writer.header_bytes();
  shards_.push_back(std::move(shard_names));
  waiting_.clear();
  waiting_bytes_ = 0;
}

void ShardWriter::name_shards() {
  std::map<std::string, std::string> file_of_tensor;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const std::string file = containers::shard_name(i, shards_.size());
    fs::rename(place(i) / containers::shard_name(0, 1), folder_ / file);
    fs::remove(place(i));
    for (const std::string& tensor : shards_[i]) file_of_tensor[tensor] = file;
  }
  if (shards_.size() == 1) return;
  io::write_file_atomic(folder_ / containers::kShardIndexName,
                        containers::shard_index(file_of_tensor, tensor_bytes_));
}

std::int64_t ShardWriter::finish() {
  if (!waiting_.empty()) write_shard();
  try {
    name_shards();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::kInput, "io: the shards in {} cannot get their names: {}", folder_.string(),
         error.code().message());
  }
  return static_cast<std::int64_t>(tensor_bytes_) + header_bytes_;
}

}  // namespace sgpt_mi::formats

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::containers {
namespace {

using Json = nlohmann::ordered_json;

/// The header is padded to this, so that the data of every dtype starts aligned.
constexpr std::size_t kHeaderAlignment = 8;

struct Shard {
  std::filesystem::path path;
  io::FileDescriptor file;
  std::vector<std::size_t> members;  // indices of tensors, in the order of their data
};

struct Place {
  std::size_t shard = 0;
  std::uint64_t offset = 0;  // from the file's start
  bool written = false;
};

/// Cuts the list into runs of at most `shard_bytes`; a larger tensor has a shard of its own.
std::vector<std::vector<std::size_t>> plan_shards(const std::vector<TensorInfo>& tensors,
                                                  std::size_t shard_bytes) {
  std::vector<std::vector<std::size_t>> shards(1);
  std::size_t filled = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::size_t bytes = tensors[i].bytes();
    if (!shards.back().empty() && (bytes > shard_bytes || filled > shard_bytes - bytes)) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(i);
    filled += bytes;
  }
  return shards;
}

}  // namespace

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

std::string shard_index(const std::map<std::string, std::string>& file_of_tensor,
                        std::size_t tensor_bytes) {
  const Json index = {{"metadata", {{"total_size", tensor_bytes}}}, {"weight_map", file_of_tensor}};
  return index.dump(2) + "\n";
}

struct SafetensorsWriter::State {
  std::filesystem::path folder;
  std::vector<TensorInfo> tensors;
  std::vector<Shard> shards;
  std::vector<Place> places;
  std::uint64_t header_bytes = 0;  // of all shards
  std::unordered_map<std::string, std::size_t> positions;

  void start_shard(std::size_t index);
  void write_index();
};

/// Writes the header of a shard and decides where its tensors go.
void SafetensorsWriter::State::start_shard(std::size_t index) {
  Shard& shard = shards[index];
  // Wider types first: every tensor then starts at a multiple of its element size.
  std::stable_sort(shard.members.begin(), shard.members.end(), [&](auto left, auto right) {
    return dtype_size(tensors[left].dtype) > dtype_size(tensors[right].dtype);
  });
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t end = 0;
  for (const std::size_t member : shard.members) {
    const TensorInfo& info = tensors[member];
    places[member] = {index, end, false};
    end += info.bytes();
    header[info.name] = {{"dtype", dtype_name(info.dtype)},
                         {"shape", info.shape},
                         {"data_offsets", {places[member].offset, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const std::uint64_t length = text.size();
  const std::uint64_t data_start = sizeof(length) + length;
  header_bytes += data_start;
  for (const std::size_t member : shard.members) places[member].offset += data_start;
  shard.file = io::create_output(shard.path);
  io::write_at(shard.file, 0, std::as_bytes(std::span(&length, 1)), shard.path);
  io::write_at(shard.file, sizeof(length), std::as_bytes(std::span(text)), shard.path);
}

void SafetensorsWriter::State::write_index() {
  std::size_t total = 0;
  std::map<std::string, std::string> file_of_tensor;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    total += tensors[i].bytes();
    file_of_tensor[tensors[i].name] = shards[places[i].shard].path.filename().string();
  }
  io::write_file_atomic(folder / kShardIndexName, shard_index(file_of_tensor, total));
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& folder,
                                     std::vector<TensorInfo> tensors, std::size_t shard_bytes)
    : state_(std::make_unique<State>()) {
  state_->folder = folder;
  state_->tensors = std::move(tensors);
  state_->places.resize(state_->tensors.size());
  for (std::size_t i = 0; i < state_->tensors.size(); ++i) {
    const std::string& name = state_->tensors[i].name;
    if (name == "__metadata__" || !state_->positions.emplace(name, i).second) {
      fail(ErrorKind::kInternal, "io: '{}' cannot be a tensor's name here: reserved or given twice",
           name);
    }
  }
  std::vector<std::vector<std::size_t>> plan = plan_shards(state_->tensors, shard_bytes);
  for (std::size_t i = 0; i < plan.size(); ++i) {
    state_->shards.push_back({folder / shard_name(i, plan.size()), {}, std::move(plan[i])});
    state_->start_shard(i);
  }
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::put(const std::string& name, std::span<const std::byte> bytes) {
  const auto found = state_->positions.find(name);
  if (found == state_->positions.end()) {
    fail(ErrorKind::kInternal, "io: tensor '{}' was not announced to the writer", name);
  }
  const TensorInfo& info = state_->tensors[found->second];
  Place& place = state_->places[found->second];
  if (bytes.size() != info.bytes()) {
    fail(ErrorKind::kInternal, "io: tensor '{}' has {} bytes; {} were announced", name,
         bytes.size(), info.bytes());
  }
  if (place.written) fail(ErrorKind::kInternal, "io: tensor '{}' was written twice", name);
  const Shard& shard = state_->shards[place.shard];
  io::write_at(shard.file, place.offset, bytes, shard.path);
  place.written = true;
}

std::int64_t SafetensorsWriter::header_bytes() const {
  return static_cast<std::int64_t>(state_->header_bytes);
}

void SafetensorsWriter::finish() {
  for (std::size_t i = 0; i < state_->tensors.size(); ++i) {
    if (!state_->places[i].written) {
      fail(ErrorKind::kInternal, "io: tensor '{}' was never written", state_->tensors[i].name);
    }
  }
  for (Shard& shard : state_->shards) {
    io::sync_file(shard.file, shard.path);
    shard.file = io::FileDescriptor();
  }
  if (state_->shards.size() > 1) state_->write_index();
}

}  // namespace sgpt_mi::containers

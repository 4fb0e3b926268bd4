#include "sgpt_mi/containers/sharded.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/json_file.h"

namespace sgpt_mi::containers {
namespace {

namespace fs = std::filesystem;

using WeightMap = std::map<std::string, std::string>;  // tensor -> file name

/// A shard must be a file below the index's folder: no absolute name, no "..".
/// The check is on the name, since the HF cache links its files to another folder.
bool stays_inside(const fs::path& name) {
  return !name.empty() && name.is_relative() &&
         std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
}

WeightMap read_weight_map(const fs::path& index) {
  const nlohmann::json json = io::read_json_object(index);
  const auto found = json.find("weight_map");
  if (found == json.end() || !found->is_object() || found->empty()) {
    fail(ErrorKind::kInput, "io: {} has no \"weight_map\" of tensor names to files",
         index.string());
  }
  WeightMap weight_map;
  for (const auto& [tensor, file] : found->items()) {
    if (!file.is_string()) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}' has a {} for its file; a name was expected",
           index.string(), tensor, file.type_name());
    }
    const std::string name = file.get<std::string>();
    if (!stays_inside(name)) {
      fail(ErrorKind::kInput,
           "io: {}: tensor '{}' lies in '{}', outside the model's folder; a file name was expected",
           index.string(), tensor, name);
    }
    weight_map.emplace(tensor, name);
  }
  return weight_map;
}

class ShardedSource : public IndexedSource {
 public:
  ShardedSource(const std::string& label, std::vector<TensorInfo> tensors,
                std::vector<const TensorSource*> owners,
                std::vector<std::unique_ptr<TensorSource>> shards)
      : IndexedSource(label, std::move(tensors)),
        owners_(std::move(owners)),
        shards_(std::move(shards)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
    return owners_[position(name)]->read(name);
  }

  void will_need(const std::string& name) const override {
    if (const auto at = place(name)) owners_[*at]->will_need(name);
  }

  void done_with(const std::string& name) const override {
    if (const auto at = place(name)) owners_[*at]->done_with(name);
  }

 private:
  std::vector<const TensorSource*> owners_;  // the shard of each tensor
  std::vector<std::unique_ptr<TensorSource>> shards_;
};

/// Checks that a shard holds no tensor that the index places elsewhere or does not know.
void check_listed(const TensorSource& shard, const std::string& file, const WeightMap& weight_map,
                  const fs::path& index) {
  for (const TensorInfo& info : shard.tensors()) {
    const auto entry = weight_map.find(info.name);
    if (entry == weight_map.end()) {
      fail(ErrorKind::kInput, "io: shard {} holds tensor '{}', which {} does not list", file,
           info.name, index.string());
    }
    if (entry->second != file) {
      fail(ErrorKind::kInput, "io: shard {} holds tensor '{}', which {} places in {}", file,
           info.name, index.string(), entry->second);
    }
  }
}

}  // namespace

std::unique_ptr<TensorSource> open_sharded(const fs::path& index, OpenShard open_shard) {
  const WeightMap weight_map = read_weight_map(index);
  std::map<std::string, const TensorSource*> by_file;
  std::vector<std::unique_ptr<TensorSource>> shards;
  std::vector<TensorInfo> tensors;
  std::vector<const TensorSource*> owners;
  for (const auto& [tensor, file] : weight_map) {
    const TensorSource*& shard = by_file[file];
    if (shard == nullptr) {
      const fs::path path = index.parent_path() / file;
      std::error_code not_there;
      if (!fs::exists(path, not_there)) {
        fail(ErrorKind::kInput, "io: {} is missing; {} places tensor '{}' in it: get the file",
             path.string(), index.filename().string(), tensor);
      }
      shards.push_back(open_shard(path));
      shard = shards.back().get();
      check_listed(*shard, file, weight_map, index);
    }
    const TensorInfo* info = shard->find(tensor);
    if (info == nullptr) {
      fail(ErrorKind::kInput, "io: {} places tensor '{}' in {}, but it is not there",
           index.string(), tensor, file);
    }
    tensors.push_back(*info);
    owners.push_back(shard);
  }
  return std::make_unique<ShardedSource>(index.string(), std::move(tensors), std::move(owners),
                                         std::move(shards));
}

}  // namespace sgpt_mi::containers

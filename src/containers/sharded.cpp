#include "sgpt_mi/containers/sharded.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "sgpt_mi/containers/buffer_names.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/containers/tensor_names.h"
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
  for (const auto& [key, file] : found->items()) {
    const std::string tensor = checked_name(key, index.string());
    if (!file.is_string()) {
      fail(ErrorKind::kInput, "io: {}: tensor '{}' has a {} for its file; a name was expected",
           index.string(), tensor, file.type_name());
    }
    const std::string name = checked_name(file.get_ref<const std::string&>(), index.string());
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

/// The shards of an index, opened one by one.
class Shards {
 public:
  Shards(const fs::path& index, const WeightMap& weight_map, OpenShard open_shard)
      : index_(index), weight_map_(weight_map), open_shard_(open_shard) {}

  /// Takes a tensor from the file that the index names, which is opened when it is the first of it.
  void take(const std::string& tensor, const std::string& file) {
    const TensorSource*& shard = by_file_[file];
    if (shard == nullptr) shard = open(tensor, file);
    const TensorInfo* info = shard->find(tensor);
    if (info == nullptr) {
      misplaced_.push_back(tensor);
    } else {
      add(*info, shard);
    }
  }

  [[nodiscard]] std::unique_ptr<TensorSource> source() && {
    for (const std::string& tensor : misplaced_) {
      const auto found = elsewhere_.find(tensor);
      if (found == elsewhere_.end()) continue;
      add(*found->second->find(tensor), found->second);
      elsewhere_.erase(found);
    }
    for (const auto& [tensor, other] : elsewhere_) {
      require_same(tensor, *by_file_.at(weight_map_.at(tensor)), *other);
    }
    return std::make_unique<ShardedSource>(index_.string(), std::move(tensors_), std::move(owners_),
                                           std::move(shards_));
  }

 private:
  const TensorSource* open(const std::string& tensor, const std::string& file) {
    const fs::path path = index_.parent_path() / file;
    std::error_code not_there;
    if (!fs::exists(path, not_there)) {
      fail(ErrorKind::kInput, "io: {} is missing; {} places tensor '{}' in it: get the file",
           path.string(), index_.filename().string(), tensor);
    }
    shards_.push_back(open_shard_(path));
    const TensorSource* shard = shards_.back().get();
    take_unlisted(*shard, file);
    return shard;
  }

  /// Takes what a shard holds and the index does not list, as the reference program does, and
  /// remembers what the index places elsewhere.
  void take_unlisted(const TensorSource& shard, const std::string& file) {
    for (const TensorInfo& info : shard.tensors()) {
      if (is_buffer_name(info.name)) continue;
      const auto entry = weight_map_.find(info.name);
      if (entry == weight_map_.end()) {
        if (!unlisted_.emplace(info.name, file).second) {
          fail(ErrorKind::kInput,
               "io: shards {} and {} both hold tensor '{}', which {} does not list",
               unlisted_.at(info.name), file, info.name, index_.string());
        }
        add(info, &shard);
      } else if (entry->second != file) {
        elsewhere_.emplace(info.name, &shard);
      }
    }
  }

  /// Two files of one name, or of two models, are not read as one.
  void require_same(const std::string& tensor, const TensorSource& listed,
                    const TensorSource& other) const {
    const TensorData a = listed.read(tensor);
    const TensorData b = other.read(tensor);
    const bool same = a.info.dtype == b.info.dtype && a.info.shape == b.info.shape &&
                      std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
    if (same) return;
    fail(ErrorKind::kInput,
         "io: two shards hold tensor '{}', with other contents; {} places it in {}: are all files "
         "of one model?",
         tensor, index_.string(), weight_map_.at(tensor));
  }

  void add(const TensorInfo& info, const TensorSource* shard) {
    tensors_.push_back(info);
    owners_.push_back(shard);
  }

  const fs::path& index_;
  const WeightMap& weight_map_;
  OpenShard open_shard_;
  std::map<std::string, const TensorSource*> by_file_;
  std::map<std::string, std::string> unlisted_;  // tensor -> file name
  std::vector<std::string> misplaced_;           // that are not where the index places them
  std::map<std::string, const TensorSource*> elsewhere_;  // where others of the index are, too
  std::vector<TensorInfo> tensors_;
  std::vector<const TensorSource*> owners_;
  std::vector<std::unique_ptr<TensorSource>> shards_;
};

}  // namespace

std::unique_ptr<TensorSource> open_sharded(const fs::path& index, OpenShard open_shard) {
  const WeightMap weight_map = read_weight_map(index);
  Shards shards(index, weight_map, open_shard);
  for (const auto& [tensor, file] : weight_map) {
    if (!is_buffer_name(tensor)) shards.take(tensor, file);
  }
  return std::move(shards).source();
}

std::vector<fs::path> shard_files(const fs::path& index) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : read_weight_map(index)) {
    if (!is_buffer_name(tensor)) names.insert(file);
  }
  std::vector<fs::path> files;
  files.reserve(names.size());
  for (const std::string& name : names) files.push_back(index.parent_path() / name);
  return files;
}

}  // namespace sgpt_mi::containers

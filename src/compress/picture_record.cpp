#include "sgpt_mi/compress/picture_record.h"

#include <string>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::compress {
namespace {

std::string affinity_name(const std::string& picture) { return picture + "/affinity"; }

}  // namespace

TensorLookup lookup_in(const containers::TensorSource* file) {
  return [file](const std::string& name) {
    const bool there = file != nullptr && file->find(name) != nullptr;
    return there ? model::to_torch(file->read(name)) : torch::Tensor();
  };
}

nlohmann::json record_pictures(const std::vector<GroupPicture>& pictures,
                               std::vector<containers::TensorData>& tensors) {
  nlohmann::json value = nlohmann::json::array();
  for (const GroupPicture& picture : pictures) {
    tensors.push_back(model::to_tensor_data(affinity_name(picture.name), picture.affinity));
    value.push_back({{"name", picture.name}, {"labels", picture.labels}, {"bits", picture.bits}});
  }
  return value;
}

std::vector<GroupPicture> recall_pictures(const nlohmann::json& value,
                                          const TensorLookup& tensors) {
  std::vector<GroupPicture> pictures;
  for (const nlohmann::json& picture : value) {
    const std::string name = picture.at("name");
    torch::Tensor affinity = tensors(affinity_name(name));
    ensure(affinity.defined(), "compress: pictures in a journal without their tensors");
    pictures.push_back({name, std::move(affinity), picture.at("labels"), picture.at("bits")});
  }
  return pictures;
}

}  // namespace sgpt_mi::compress

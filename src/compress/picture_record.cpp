#include "sgpt_mi/compress/picture_record.h"

#include <string>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::compress {
namespace {

std::string affinity_name(const std::string& picture) { return picture + "/affinity"; }

}  // namespace

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
                                          const containers::TensorSource* tensors) {
  std::vector<GroupPicture> pictures;
  for (const nlohmann::json& picture : value) {
    ensure(tensors != nullptr, "compress: pictures in a journal without their tensors");
    const std::string name = picture.at("name");
    pictures.push_back({name, model::to_torch(tensors->read(affinity_name(name))),
                        picture.at("labels"), picture.at("bits")});
  }
  return pictures;
}

}  // namespace sgpt_mi::compress

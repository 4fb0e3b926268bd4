#include "sgpt_mi/formats/weight_store.h"

#include <cstring>
#include <memory>
#include <span>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::formats {
namespace {

using containers::TensorData;
using containers::TensorInfo;

/// F32 rounded to F16.
TensorData to_half(const TensorInfo& info, const TensorData& wide) {
  const auto halves =
      std::make_shared<std::vector<std::uint16_t>>(wide.bytes.size() / sizeof(float));
  const std::byte* from = wide.bytes.data();
  for (std::uint16_t& half : *halves) {
    float value = 0.0F;
    std::memcpy(&value, from, sizeof value);
    half = kernels::float_to_half(value);
    from += sizeof value;
  }
  return {info, std::as_bytes(std::span(*halves)), halves};
}

/// The same values in float32.
TensorData to_float(const TensorInfo& info, const TensorData& narrow) {
  const bool is_half = narrow.info.dtype == DType::kF16;
  ensure(is_half || narrow.info.dtype == DType::kBF16, "formats: a weight of a type to widen");
  const auto floats = std::make_shared<std::vector<float>>(static_cast<std::size_t>(info.count()));
  const std::byte* from = narrow.bytes.data();
  for (float& value : *floats) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from, sizeof bits);
    value = is_half ? kernels::half_to_float(bits) : kernels::bfloat16_to_float(bits);
    from += sizeof bits;
  }
  return {info, std::as_bytes(std::span(*floats)), floats};
}

std::vector<TensorInfo> saved_infos(const Checkpoint& checkpoint,
                                    const std::unordered_set<std::string>& exact) {
  std::vector<TensorInfo> infos = checkpoint.tensors->tensors();
  for (TensorInfo& info : infos) {
    if (exact.contains(info.name)) {
      info.dtype = DType::kF32;
    } else if (info.dtype == DType::kF32 && checkpoint.tensors->stored(info.name).type != "F32") {
      info.dtype = DType::kF16;
    }
  }
  return infos;
}

}  // namespace

SavedTypes::SavedTypes(const Checkpoint& checkpoint, const std::unordered_set<std::string>& exact)
    : IndexedSource(checkpoint.location.path.string(), saved_infos(checkpoint, exact)),
      base_(*checkpoint.tensors) {}

containers::StoredForm SavedTypes::stored(const std::string& name) const {
  return base_.stored(name);
}

std::optional<containers::StoredBlocks> SavedTypes::stored_blocks(const std::string& name) const {
  return base_.stored_blocks(name);
}

const blocks::BlockType* SavedTypes::kept_blocks(const std::string& name) const {
  const blocks::BlockType* type = blocks::find_block_type(stored(name).type);
  return type != nullptr && type->form != blocks::BlockForm::kPlain ? type : nullptr;
}

const TensorInfo& SavedTypes::info_of(const std::string& name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) fail(ErrorKind::kInternal, "formats: no tensor {} to save", name);
  return *info;
}

TensorData SavedTypes::read(const std::string& name) const {
  TensorData data = base_.read(name);
  const TensorInfo* info = find(name);
  if (info == nullptr || info->dtype == data.info.dtype) return data;
  return info->dtype == DType::kF16 ? to_half(*info, data) : to_float(*info, data);
}

std::size_t SavedTypes::bytes() const {
  std::size_t bytes = 0;
  for (const TensorInfo& info : tensors()) bytes += info.bytes();
  return bytes;
}

void WeightStore::put_matrix(const std::string& name, const packing::CodedMatrix& /*coded*/,
                             const packing::PackedSize& /*size*/) {
  fail(ErrorKind::kInternal, "formats: codes of {} for a store of dense tensors", name);
}

void WeightStore::put_blocks(const std::string& name, const blocks::EncodedMatrix& /*matrix*/) {
  fail(ErrorKind::kInternal, "formats: {} came in blocks to a store that takes none", name);
}

void MemoryStore::put(const TensorData& tensor) {
  const TensorInfo& info = base_.info_of(tensor.info.name);
  ensure(tensor.bytes.size() == info.bytes(), "formats: a compressed weight changed its size");
  replaced_[info.name] = {info, tensor.bytes, tensor.owner};
}

TensorData MemoryStore::read(const std::string& name) const {
  const auto found = replaced_.find(name);
  return found == replaced_.end() ? base_.read(name) : found->second;
}

}  // namespace sgpt_mi::formats

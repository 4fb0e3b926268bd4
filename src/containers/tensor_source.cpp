#include "sgpt_mi/containers/tensor_source.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/containers/checked_count.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::containers {

std::int64_t TensorInfo::count() const {
  const std::optional<std::int64_t> product = checked_count(shape);
  if (!product) fail(ErrorKind::kInternal, "io: tensor '{}' has an impossible shape", name);
  return *product;
}

std::size_t TensorInfo::bytes() const {
  return static_cast<std::size_t>(count()) * dtype_size(dtype);
}

const TensorInfo* TensorSource::find(const std::string& name) const {
  const std::vector<TensorInfo>& all = tensors();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const TensorInfo& info) { return info.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::optional<StoredBlocks> TensorSource::stored_blocks(const std::string& /*name*/) const {
  return std::nullopt;
}

StoredForm TensorSource::stored(const std::string& name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) fail(ErrorKind::kInput, "io: no tensor '{}'", name);
  return {dtype_name(info->dtype), static_cast<std::int64_t>(info->bytes())};
}

void TensorSource::will_need(const std::string& /*name*/) const {}

void TensorSource::done_with(const std::string& /*name*/) const {}

IndexedSource::IndexedSource(std::string label, std::vector<TensorInfo> tensors)
    : label_(std::move(label)), tensors_(std::move(tensors)) {
  positions_.reserve(tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    ensure(positions_.emplace(tensors_[i].name, i).second, "io: two tensors share one name");
  }
}

const TensorInfo* IndexedSource::find(const std::string& name) const {
  const auto found = positions_.find(name);
  return found == positions_.end() ? nullptr : &tensors_[found->second];
}

std::optional<std::size_t> IndexedSource::place(const std::string& name) const {
  const auto found = positions_.find(name);
  if (found == positions_.end()) return std::nullopt;
  return found->second;
}

std::size_t IndexedSource::position(const std::string& name) const {
  const auto found = positions_.find(name);
  if (found == positions_.end()) {
    fail(ErrorKind::kInput, "io: {} has no tensor '{}'", label_, name);
  }
  return found->second;
}

MappedSource::MappedSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
                           std::vector<TensorInfo> tensors,
                           std::vector<std::span<const std::byte>> bytes)
    : IndexedSource(label, std::move(tensors)), file_(std::move(file)), bytes_(std::move(bytes)) {}

TensorData MappedSource::read(const std::string& name) const {
  const std::size_t at = position(name);
  return {tensors()[at], bytes_[at], file_};
}

void MappedSource::will_need(const std::string& name) const {
  if (const auto at = place(name)) file_->will_need(bytes_[*at]);
}

void MappedSource::done_with(const std::string& name) const {
  if (const auto at = place(name)) file_->done_with(bytes_[*at]);
}

}  // namespace sgpt_mi::containers

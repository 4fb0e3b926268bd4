#include "weight_store.h"

#include <array>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/text/tokenizer.h"

namespace sgpt_mi::pipeline {
namespace {

/// Files besides config.json and the weights that make a folder loadable elsewhere.
constexpr std::array<const char*, 9> kCompanionFiles{"tokenizer.json",
                                                     "tokenizer.model",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "vocab.json",
                                                     "merges.txt",
                                                     "chat_template.jinja",
                                                     "generation_config.json"};

/// A contiguous CPU tensor's bytes, kept alive by the tensor.
io::TensorData to_tensor_data(const io::TensorInfo& info, const torch::Tensor& value) {
  auto owner = std::make_shared<torch::Tensor>(value.detach().to(torch::kCPU).contiguous());
  ensure(owner->nbytes() == info.bytes(), "pipeline: a compressed weight changed its size");
  const auto* bytes = static_cast<const std::byte*>(owner->const_data_ptr());
  return {info, {bytes, owner->nbytes()}, std::move(owner)};
}

void copy_to(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (error) {
    fail(ErrorKind::kInput, "save: {} could not be copied to {}: {}", from.string(), to.string(),
         error.message());
  }
}

/// config.json of the dense model, byte for byte where the checkpoint has such a file.
void copy_config(const io::Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (checkpoint.location.is_folder() && checkpoint.packed_matrices.empty()) {
    copy_to(checkpoint.location.path / "config.json", folder / "config.json");
  } else {
    io::write_file_atomic(folder / "config.json", checkpoint.config.dump(2) + "\n");
  }
}

void copy_tokenizer(const io::Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (checkpoint.location.is_gguf) {
    if (!checkpoint.gguf_vocabulary) return;
    for (const auto& [name, bytes] : text::tokenizer_files(*checkpoint.gguf_vocabulary)) {
      io::write_file_atomic(folder / name, bytes);
    }
    return;
  }
  if (!checkpoint.location.is_folder()) return;
  for (const char* name : kCompanionFiles) {
    const std::filesystem::path from = checkpoint.location.path / name;
    if (std::filesystem::exists(from)) copy_to(from, folder / name);
  }
}

std::size_t bytes_of(const SavedTypes& types) {
  std::size_t bytes = 0;
  for (const io::TensorInfo& info : types.tensors()) bytes += info.bytes();
  return bytes;
}

void require_space(const std::filesystem::path& folder, std::size_t bytes) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (!error && space.available < bytes) {
    fail(ErrorKind::kInput, "save: {} has {} free, the model takes {}; free room or save elsewhere",
         folder.parent_path().string(),
         report::human_bytes(static_cast<std::int64_t>(space.available)),
         report::human_bytes(static_cast<std::int64_t>(bytes)));
  }
}

}  // namespace

SavedTypes::SavedTypes(const io::Checkpoint& checkpoint)
    : base_(*checkpoint.tensors), infos_(checkpoint.tensors->tensors()) {
  for (std::size_t i = 0; i < infos_.size(); ++i) {
    io::TensorInfo& info = infos_[i];
    if (checkpoint.location.is_gguf && info.dtype == DType::kF32 && info.shape.size() == 2) {
      info.dtype = DType::kF16;
    }
    index_[info.name] = i;
  }
}

const io::TensorInfo* SavedTypes::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &infos_[found->second];
}

DType SavedTypes::dtype_of(const std::string& name) const {
  const io::TensorInfo* info = find(name);
  if (info == nullptr) fail(ErrorKind::kInternal, "pipeline: no tensor {} to save", name);
  return info->dtype;
}

io::TensorData SavedTypes::read(const std::string& name) const {
  io::TensorData data = base_.read(name);
  const io::TensorInfo* info = find(name);
  if (info == nullptr || info->dtype == data.info.dtype) return data;
  return to_tensor_data(*info, model::to_torch(data).to(model::to_scalar_type(info->dtype)));
}

void MemoryStore::put(const std::string& name, const torch::Tensor& value) {
  const io::TensorInfo* info = base_.find(name);
  if (info == nullptr) fail(ErrorKind::kInternal, "pipeline: no tensor {} to replace", name);
  replaced_[name] = to_tensor_data(*info, value);
}

void MemoryStore::put_packed(const std::string& name, const torch::Tensor& rounded,
                             const io::CodedMatrix& /*coded*/, const io::PackedSize& /*size*/) {
  put(name + ".weight", rounded);
}

io::TensorData MemoryStore::read(const std::string& name) const {
  const auto found = replaced_.find(name);
  return found == replaced_.end() ? base_.read(name) : found->second;
}

FolderStore::FolderStore(const std::filesystem::path& target, const io::Checkpoint& checkpoint,
                         const SavedTypes& types)
    : checkpoint_(checkpoint), types_(types), folder_(target, kReportFile) {
  require_space(folder_.staging(), bytes_of(types_));
  writer_ = std::make_unique<io::SafetensorsWriter>(folder_.staging(), types_.tensors());
}

void FolderStore::put(const std::string& name, const torch::Tensor& value) {
  const io::TensorInfo* info = types_.find(name);
  if (info == nullptr) fail(ErrorKind::kInternal, "pipeline: no tensor {} to save", name);
  writer_->put(name, to_tensor_data(*info, value).bytes);
  written_.insert(name);
}

void FolderStore::put_packed(const std::string& name, const torch::Tensor& rounded,
                             const io::CodedMatrix& /*coded*/, const io::PackedSize& /*size*/) {
  put(name + ".weight", rounded);
}

void FolderStore::finish(const std::string& run_report) {
  for (const io::TensorInfo& info : types_.tensors()) {
    if (written_.contains(info.name)) continue;
    check_interrupt();
    writer_->put(info.name, types_.read(info.name).bytes);
  }
  writer_->finish();
  copy_config(checkpoint_, folder_.staging());
  copy_tokenizer(checkpoint_, folder_.staging());
  io::write_file_atomic(folder_.staging() / kReportFile, run_report);
  folder_.commit();
}

PackedStore::PackedStore(const std::filesystem::path& target, const io::Checkpoint& checkpoint,
                         const SavedTypes& types)
    : checkpoint_(checkpoint),
      types_(types),
      folder_(target, kReportFile),
      writer_(folder_.staging()) {
  require_space(folder_.staging(), bytes_of(types_));
}

void PackedStore::put(const std::string& name, const torch::Tensor& value) {
  const io::TensorInfo* info = types_.find(name);
  if (info == nullptr) fail(ErrorKind::kInternal, "pipeline: no tensor {} to save", name);
  writer_.put_dense(to_tensor_data(*info, value));
  written_.insert(name);
}

void PackedStore::put_packed(const std::string& name, const torch::Tensor& /*rounded*/,
                             const io::CodedMatrix& coded, const io::PackedSize& size) {
  const io::PackedSize written = writer_.put_matrix(name, coded);
  if (written != size) {
    fail(ErrorKind::kInternal, "pipeline: {} takes {} bytes packed where {} were predicted", name,
         written.total(), size.total());
  }
  written_.insert(name + ".weight");
}

void PackedStore::finish(const std::string& run_report) {
  for (const io::TensorInfo& info : types_.tensors()) {
    if (written_.contains(info.name)) continue;
    check_interrupt();
    writer_.put_dense(types_.read(info.name));
  }
  writer_.finish(checkpoint_.config);
  copy_tokenizer(checkpoint_, folder_.staging());
  io::write_file_atomic(folder_.staging() / kReportFile, run_report);
  folder_.commit();
}

}  // namespace sgpt_mi::pipeline

#include "sgpt_mi/io/torch_pickle.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/unpickler.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "checked_count.h"
#include "indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::io {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

/// Gives the mapped file to LibTorch's zip reader.
class MappedAdapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MappedAdapter(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t size() const override { return bytes_.size(); }

  std::size_t read(std::uint64_t position, void* buffer, std::size_t count,
                   const char* /*what*/) const override {
    if (position >= bytes_.size()) return 0;
    const std::size_t available =
        std::min(count, bytes_.size() - static_cast<std::size_t>(position));
    std::memcpy(buffer, bytes_.data() + position, available);
    return available;
  }

 private:
  Bytes bytes_;
};

/// The zip archive of torch.save: data.pkl describes the tensors, data/KEY holds each storage.
class Archive {
 public:
  Archive(Bytes file, std::string label)
      : file_(file), label_(std::move(label)), zip_(std::make_shared<MappedAdapter>(file)) {
    if (text("byteorder", "little") != "little") {
      fail(ErrorKind::kInput, "io: {} holds big-endian data; save it again on a little-endian host",
           label_);
    }
  }

  /// A small record, or `otherwise` when there is none.
  [[nodiscard]] std::string text(const std::string& record, std::string_view otherwise) {
    if (!zip_.hasRecord(record)) return std::string(otherwise);
    const auto [data, size] = zip_.getRecord(record);
    return {static_cast<const char*>(data.get()), size};
  }

  /// The storage `key` in the mapped file; remembered for storage_at().
  [[nodiscard]] Bytes storage(const std::string& key) {
    const std::string record = "data/" + key;
    if (!zip_.hasRecord(record)) {
      fail(ErrorKind::kInput, "io: {} lacks the storage '{}' of a tensor; get the file again",
           label_, key);
    }
    const std::size_t size = zip_.getRecordSize(record);
    const std::size_t offset = zip_.getRecordOffset(record);
    if (offset > file_.size() || size > file_.size() - offset) {
      fail(ErrorKind::kInput, "io: {}: storage '{}' passes the end of the file; get the file again",
           label_, key);
    }
    check_stored(zip_.getRecordHeaderOffset(record), key);
    const Bytes bytes = file_.subspan(offset, size);
    storages_[bytes.data()] = bytes;
    return bytes;
  }

  /// The storage that begins at an address which storage() gave.
  [[nodiscard]] Bytes storage_at(const void* begin) const {
    const auto found = storages_.find(static_cast<const std::byte*>(begin));
    return found == storages_.end() ? Bytes() : found->second;
  }

 private:
  /// A record can be used in place only when the zip stores it without compression.
  void check_stored(std::size_t header, const std::string& key) const {
    constexpr std::size_t kMethodAt = 8;  // of the zip format's local file header
    std::uint16_t method = 0;
    if (header <= file_.size() && file_.size() - header >= kMethodAt + sizeof(method)) {
      std::memcpy(&method, file_.data() + header + kMethodAt, sizeof(method));
    }
    if (method != 0) {
      fail(ErrorKind::kInput,
           "io: {}: storage '{}' is compressed, which torch.save never does; save the file again "
           "with torch.save",
           label_, key);
    }
  }

  Bytes file_;
  std::string label_;
  caffe2::serialize::PyTorchStreamReader zip_;
  std::map<const std::byte*, Bytes> storages_;
};

/// Runs the restricted unpickler over data.pkl.
c10::IValue unpickle(Archive& archive, const std::string& label) {
  const std::string pickle = archive.text("data.pkl", "");
  std::size_t position = 0;
  const auto read_pickle = [&](char* out, std::size_t count) {
    const std::size_t available = std::min(count, pickle.size() - position);
    std::memcpy(out, pickle.data() + position, available);
    position += available;
    return available;
  };
  const auto refuse_class = [&](const c10::QualifiedName& name) -> c10::StrongTypePtr {
    fail(ErrorKind::kInput,
         "io: {}: its pickle asks for '{}'; only tensors and plain containers are read: save the "
         "state dict alone",
         label, name.qualifiedName());
  };
  const auto map_storage = [&](const std::string& key) {
    // Nothing writes through this pointer: the mapping is read-only.
    void* data = const_cast<std::byte*>(archive.storage(key).data());
    return at::DataPtr(data, at::kCPU);
  };
  torch::jit::Unpickler unpickler(read_pickle, refuse_class, nullptr, map_storage, at::kCPU);
  return unpickler.parse_ivalue();
}

std::optional<DType> dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kDouble: return DType::kF64;
    case at::kFloat: return DType::kF32;
    case at::kHalf: return DType::kF16;
    case at::kBFloat16: return DType::kBF16;
    case at::kLong: return DType::kI64;
    case at::kInt: return DType::kI32;
    case at::kShort: return DType::kI16;
    case at::kChar: return DType::kI8;
    case at::kByte: return DType::kU8;
    case at::kBool: return DType::kBool;
    default: return std::nullopt;
  }
}

/// Elements of a storage that the tensor's view reaches, from the storage's start; nothing when a
/// size, stride or offset is negative or the sum passes int64.
std::optional<std::int64_t> elements_reached(const at::Tensor& tensor) {
  if (!checked_count(tensor.sizes())) return std::nullopt;
  std::int64_t reached = tensor.storage_offset();
  if (reached < 0) return std::nullopt;
  for (std::int64_t axis = 0; axis < tensor.dim(); ++axis) {
    const std::int64_t size = tensor.size(axis);
    const std::int64_t stride = tensor.stride(axis);
    std::int64_t extent = 0;
    if (stride < 0) return std::nullopt;
    if (size == 0) return 0;
    if (__builtin_mul_overflow(size - 1, stride, &extent) ||
        __builtin_add_overflow(reached, extent, &reached)) {
      return std::nullopt;
    }
  }
  if (__builtin_add_overflow(reached, 1, &reached)) return std::nullopt;
  return reached;
}

/// One entry of the state dict, checked.
struct Entry {
  TensorInfo info;
  at::Tensor view;  // into the mapped file
};

Entry checked_entry(const std::string& name, const c10::IValue& value, const Archive& archive,
                    const std::string& label) {
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::kInput, "io: {}: '{}' {}", label, name, what);
  };
  if (!value.isTensor()) {
    refuse(fmt::format("is a {}; a tensor was expected: save the state dict alone",
                       value.tagKind()));
  }
  const at::Tensor& tensor = value.toTensor();
  const bool plain = tensor.defined() && tensor.layout() == at::kStrided && tensor.is_cpu();
  const std::optional<DType> dtype = plain ? dtype_of(tensor.scalar_type()) : std::nullopt;
  if (!dtype) refuse("is sparse, quantized or of a dtype that is not read; a dense tensor expected");
  const std::optional<std::int64_t> reached = elements_reached(tensor);
  const std::size_t held =
      reached.value_or(0) == 0 ? 0 : archive.storage_at(tensor.storage().data()).size();
  if (!reached || static_cast<std::uint64_t>(*reached) > held / dtype_size(*dtype)) {
    refuse(fmt::format("reaches outside its storage of {} bytes; the file is damaged", held));
  }
  return {{name, *dtype, tensor.sizes().vec()}, tensor};
}

std::vector<Entry> read_entries(Bytes file, const std::string& label) {
  try {
    Archive archive(file, label);
    const c10::IValue root = unpickle(archive, label);
    if (!root.isGenericDict()) {
      fail(ErrorKind::kInput, "io: {} holds a {}; a dictionary of tensors was expected", label,
           root.tagKind());
    }
    std::vector<Entry> entries;
    for (const auto& item : root.toGenericDict()) {
      if (!item.key().isString()) {
        fail(ErrorKind::kInput, "io: {} has a key that is not text; tensor names were expected",
             label);
      }
      entries.push_back(checked_entry(item.key().toStringRef(), item.value(), archive, label));
    }
    return entries;
  } catch (const c10::Error& error) {
    const std::string_view message = error.what_without_backtrace();
    fail(ErrorKind::kInput, "io: {} is not a readable PyTorch file, or it is cut or damaged: {}",
         label, message.substr(0, message.find('\n')));
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::kInput, "io: {} is damaged: it asks for more memory than there is", label);
  }
}

void check_is_zip(Bytes file, const std::string& label) {
  const auto starts_with = [&](std::string_view magic) {
    return file.size() >= magic.size() &&
           std::memcmp(file.data(), magic.data(), magic.size()) == 0;
  };
  if (starts_with("PK\x03\x04")) return;
  if (starts_with("\x80\x02\x8a\x0a")) {  // the pickled magic number of the older format
    fail(ErrorKind::kInput,
         "io: {} was written by torch.save before PyTorch 1.6 (a bare pickle); convert it once "
         "with torch.save(torch.load(file), file) in PyTorch 1.6 or later",
         label);
  }
  fail(ErrorKind::kInput,
       "io: {} ({} bytes) is not a zip archive as torch.save writes it; get the file again", label,
       file.size());
}

class TorchSource : public IndexedSource {
 public:
  TorchSource(std::shared_ptr<const MappedFile> file, const std::string& label,
              std::vector<TensorInfo> tensors, std::vector<at::Tensor> views)
      : IndexedSource(label, std::move(tensors)), file_(std::move(file)), views_(std::move(views)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
    const std::size_t at = position(name);
    const at::Tensor& view = views_[at];
    const TensorInfo& info = tensors()[at];
    if (view.is_contiguous()) return {info, {data_of(view), info.bytes()}, file_};
    const auto copy = std::make_shared<const at::Tensor>(view.contiguous());
    return {info, {data_of(*copy), info.bytes()}, copy};
  }

 private:
  static const std::byte* data_of(const at::Tensor& tensor) {
    return static_cast<const std::byte*>(tensor.const_data_ptr());
  }

  std::shared_ptr<const MappedFile> file_;
  std::vector<at::Tensor> views_;
};

}  // namespace

std::unique_ptr<TensorSource> open_torch_pickle(const fs::path& path) {
  const std::string label = path.string();
  auto file = std::make_shared<const MappedFile>(path);
  check_is_zip(file->bytes(), label);
  std::vector<TensorInfo> tensors;
  std::vector<at::Tensor> views;
  for (Entry& entry : read_entries(file->bytes(), label)) {
    tensors.push_back(std::move(entry.info));
    views.push_back(std::move(entry.view));
  }
  return std::make_unique<TorchSource>(std::move(file), label, std::move(tensors),
                                       std::move(views));
}

}  // namespace sgpt_mi::io

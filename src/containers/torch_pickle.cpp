#include "sgpt_mi/containers/torch_pickle.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "sgpt_mi/containers/checked_count.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/io/mapped_file.h"
#include "torch_pickle.h"
#include "unpickler.h"
#include "zip_archive.h"

namespace sgpt_mi::containers {
namespace {

using Bytes = std::span<const std::byte>;
using Records = std::map<std::string, Bytes>;

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_is_zip(Bytes file, const std::string& label) {
  const std::string_view text = text_of(file);
  if (text.starts_with("PK\x03\x04")) return;
  if (text.starts_with("\x80\x02\x8a\x0a")) {  // the pickled magic number of the older format
    fail(ErrorKind::kInput,
         "io: {} was written by torch.save before PyTorch 1.6 (a bare pickle); convert it once "
         "with torch.save(torch.load(file), file) in PyTorch 1.6 or later",
         label);
  }
  fail(ErrorKind::kInput,
       "io: {} ({} bytes) is not a zip archive as torch.save writes it; get the file again", label,
       file.size());
}

/// All records of a torch file are in one folder of the archive; "FOLDER/" is returned.
std::string record_prefix(const Records& records, const std::string& label) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, bytes] : records) {
    const bool in_folder = name.ends_with(kPickle) && name.size() > kPickle.size() &&
                           name.find('/') == name.size() - kPickle.size() - 1;
    if (in_folder) return name.substr(0, name.size() - kPickle.size());
  }
  fail(ErrorKind::kInput, "io: {} has no data.pkl; an archive of torch.save was expected", label);
}

/// Elements of the storage that the view reaches, counted from the storage's start; nothing when
/// a number is negative or the sum passes int64.
std::optional<std::int64_t> elements_reached(const PickledTensor& tensor) {
  const std::optional<std::int64_t> count = checked_count(tensor.shape);
  if (!count || tensor.offset < 0) return std::nullopt;
  std::int64_t last = tensor.offset;
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    std::int64_t extent = 0;
    if (tensor.strides[axis] < 0 ||
        __builtin_mul_overflow(tensor.shape[axis] - 1, tensor.strides[axis], &extent) ||
        __builtin_add_overflow(last, extent, &last)) {
      return std::nullopt;
    }
  }
  if (*count == 0) return 0;
  if (__builtin_add_overflow(last, 1, &last)) return std::nullopt;
  return last;
}

/// Finds a tensor's elements, after checking that all of them lie in its storage.
StridedTensor locate(PickledTensor tensor, const Records& records, const std::string& prefix,
                     const std::string& label) {
  const auto refuse = [&](const std::string& found) {
    fail(ErrorKind::kInput, "io: {}: tensor '{}' {}; get the file again", label, tensor.name,
         found);
  };
  const auto record = records.find(prefix + "data/" + tensor.storage);
  if (record == records.end()) {
    refuse(fmt::format("lacks its storage '{}'", printable(tensor.storage)));
  }
  const Bytes storage = record->second;
  const std::size_t held = storage.size() / dtype_size(tensor.dtype);
  const std::optional<std::int64_t> reached = elements_reached(tensor);
  if (!reached || static_cast<std::uint64_t>(*reached) > held) {
    refuse(fmt::format("reaches outside its storage of {} bytes", storage.size()));
  }
  if (static_cast<std::uint64_t>(*checked_count(tensor.shape)) > held) {
    refuse("has more elements than its storage: an expanded tensor, which is not read");
  }
  const std::size_t begin =
      *reached == 0 ? 0 : static_cast<std::size_t>(tensor.offset) * dtype_size(tensor.dtype);
  return {{std::move(tensor.name), tensor.dtype, std::move(tensor.shape)},
          std::move(tensor.strides),
          storage.subspan(begin)};
}

class TorchSource : public MappedSource {
 public:
  TorchSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
              std::vector<TensorInfo> infos, std::vector<Bytes> bytes,
              std::vector<StridedTensor> tensors)
      : MappedSource(std::move(file), label, std::move(infos), std::move(bytes)),
        tensors_(std::move(tensors)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
    const StridedTensor& tensor = tensors_[position(name)];
    if (tensor.is_contiguous()) return MappedSource::read(name);
    const auto copy = std::make_shared<const std::vector<std::byte>>(tensor.to_contiguous());
    return {tensor.info, *copy, copy};
  }

 private:
  std::vector<StridedTensor> tensors_;
};

}  // namespace

bool StridedTensor::is_contiguous() const {
  std::int64_t expected = 1;
  for (std::size_t axis = info.shape.size(); axis-- > 0;) {
    if (info.shape[axis] != 1 && strides[axis] != expected) return info.count() == 0;
    expected *= info.shape[axis];
  }
  return true;
}

std::vector<std::byte> StridedTensor::to_contiguous() const {
  const std::size_t element = dtype_size(info.dtype);
  std::vector<std::byte> copy(info.bytes());
  std::vector<std::int64_t> index(info.shape.size(), 0);
  std::int64_t source = 0;  // element that `index` points to
  for (std::size_t target = 0; target < copy.size(); target += element) {
    std::memcpy(copy.data() + target, storage.data() + static_cast<std::size_t>(source) * element,
                element);
    for (std::size_t axis = index.size(); axis-- > 0;) {  // the next index, last axis first
      source += strides[axis];
      if (++index[axis] < info.shape[axis]) break;
      source -= strides[axis] * info.shape[axis];
      index[axis] = 0;
    }
  }
  return copy;
}

std::vector<StridedTensor> parse_torch_pickle(Bytes file, const std::string& label) {
  check_is_zip(file, label);
  const Records records = read_stored_zip(file, label);
  const std::string prefix = record_prefix(records, label);
  const auto byte_order = records.find(prefix + "byteorder");
  if (byte_order != records.end() && text_of(byte_order->second) != "little") {
    fail(ErrorKind::kInput, "io: {} holds big-endian data; save it again on a little-endian host",
         label);
  }
  std::vector<StridedTensor> tensors;
  for (PickledTensor& tensor :
       unpickle_state_dict(text_of(records.at(prefix + "data.pkl")), label)) {
    tensors.push_back(locate(std::move(tensor), records, prefix, label));
  }
  return tensors;
}

std::unique_ptr<TensorSource> open_torch_pickle(const std::filesystem::path& path) {
  auto file = std::make_shared<const io::MappedFile>(path);
  std::vector<StridedTensor> tensors = parse_torch_pickle(file->bytes(), path.string());
  std::vector<TensorInfo> infos;
  std::vector<Bytes> bytes;
  for (const StridedTensor& tensor : tensors) {
    infos.push_back(tensor.info);
    // From the first element on, as many as the tensor has: all of it when it is contiguous.
    bytes.push_back(tensor.storage.first(std::min(tensor.storage.size(), tensor.info.bytes())));
  }
  return std::make_unique<TorchSource>(std::move(file), path.string(), std::move(infos),
                                       std::move(bytes), std::move(tensors));
}

}  // namespace sgpt_mi::containers

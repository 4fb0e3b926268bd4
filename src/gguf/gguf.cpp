#include "sgpt_mi/gguf/gguf.h"

#include <system_error>
#include <unordered_set>
#include <utility>

#include "gguf_model.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::gguf {
namespace {

using Files = std::vector<std::shared_ptr<const io::MappedFile>>;

/// Whether the part lies in the whole.
bool contains(std::span<const std::byte> whole, std::span<const std::byte> part) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

std::vector<containers::TensorInfo> infos_of(const std::vector<GgufWeight>& weights) {
  std::vector<containers::TensorInfo> infos;
  infos.reserve(weights.size());
  for (const GgufWeight& weight : weights) infos.push_back(weight.info);
  return infos;
}

/// The tensors of the file or files of a model.
class GgufSource : public containers::IndexedSource {
 public:
  GgufSource(Files files, const std::string& label, std::vector<GgufWeight> weights)
      : containers::IndexedSource(label, infos_of(weights)),
        files_(std::move(files)),
        weights_(std::move(weights)) {}

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const GgufWeight& weight = weights_[position(name)];
    if (weight.type->unpack == nullptr && weight.paired_heads == 0) {
      return {weight.info, weight.bytes, file_of(weight)};
    }
    const auto buffer = std::make_shared<const std::vector<std::byte>>(unpack_weight(weight));
    return {weight.info, *buffer, buffer};
  }

  [[nodiscard]] containers::StoredForm stored(const std::string& name) const override {
    const GgufWeight& weight = weights_[position(name)];
    return {weight.type->name, static_cast<std::int64_t>(weight.bytes.size())};
  }

  [[nodiscard]] std::optional<containers::StoredBlocks> stored_blocks(
      const std::string& name) const override {
    const GgufWeight& weight = weights_[position(name)];
    if (weight.type->unpack == nullptr) return std::nullopt;
    if (weight.paired_heads == 0) {
      return containers::StoredBlocks{weight.type->name, weight.bytes, file_of(weight)};
    }
    const auto buffer = std::make_shared<const std::vector<std::byte>>(unpaired_rows(weight));
    return containers::StoredBlocks{weight.type->name, *buffer, buffer};
  }

  void will_need(const std::string& name) const override {
    if (const auto at = place(name)) file_of(weights_[*at])->will_need(weights_[*at].bytes);
  }
  void done_with(const std::string& name) const override {
    if (const auto at = place(name)) file_of(weights_[*at])->done_with(weights_[*at].bytes);
  }

 private:
  [[nodiscard]] const std::shared_ptr<const io::MappedFile>& file_of(
      const GgufWeight& weight) const {
    for (const auto& file : files_) {
      if (contains(file->bytes(), weight.bytes)) return file;
    }
    fail(ErrorKind::kInternal, "gguf: tensor '{}' lies in no file", weight.info.name);
  }

  Files files_;
  std::vector<GgufWeight> weights_;
};

/// Checks that a file is the one of its number among those of a split model.
void check_split(const GgufMetadata& metadata, std::size_t index, std::size_t count) {
  const std::int64_t number = metadata.whole("split.no").value_or(0);
  const std::int64_t files = metadata.whole("split.count").value_or(1);
  if (number == static_cast<std::int64_t>(index) && files == static_cast<std::int64_t>(count)) {
    return;
  }
  if (count == 1) {
    fail(ErrorKind::kInput,
         "io: {} is part {} of {} of a split model; the parts are found by their names, "
         "NAME-00001-of-{:05}.gguf and so on: name them so, side by side",
         metadata.label(), number + 1, files, files);
  }
  fail(ErrorKind::kInput,
       "io: {} is part {} of {} of a split model, but its name says part {} of {}; get the model's "
       "files again",
       metadata.label(), number + 1, files, index + 1, count);
}

/// Maps the files of a model. Throws Error(kInput) naming a part that is missing.
Files map_all(const std::vector<std::filesystem::path>& paths) {
  Files files;
  for (const auto& part : paths) {
    std::error_code not_there;
    if (paths.size() > 1 && !std::filesystem::exists(part, not_there)) {
      fail(ErrorKind::kInput, "io: {} is missing, one of the {} parts of a split model; get it",
           part.string(), paths.size());
    }
    files.push_back(std::make_shared<const io::MappedFile>(part));
  }
  return files;
}

/// All tensors of a model, with the first file's metadata.
GgufFile parse_all(const Files& files, const std::vector<std::filesystem::path>& paths) {
  GgufFile whole;
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < files.size(); ++i) {
    GgufFile file = parse_gguf(files[i]->bytes(), paths[i].string());
    check_split(file.metadata, i, files.size());
    for (GgufTensor& tensor : file.tensors) {
      if (!names.insert(tensor.name).second) {
        fail(ErrorKind::kInput, "io: {}: tensor '{}' is in another file of the model, too",
             paths[i].string(), tensor.name);
      }
      whole.tensors.push_back(std::move(tensor));
    }
    if (i == 0) whole.metadata = std::move(file.metadata);
  }
  return whole;
}

}  // namespace

OpenedGguf open_gguf(const std::filesystem::path& path) {
  const std::vector<std::filesystem::path> paths = shard_paths(path);
  Files files = map_all(paths);
  GgufModel model = translate_gguf(parse_all(files, paths));
  auto tensors =
      std::make_unique<GgufSource>(std::move(files), path.string(), std::move(model.weights));
  return {std::move(model.config), std::move(tensors), std::move(model.vocabulary)};
}

GgufDescription describe_gguf(const std::filesystem::path& path, const nlohmann::json& config,
                              const std::vector<containers::TensorInfo>& tensors) {
  const std::vector<std::filesystem::path> paths = shard_paths(path);
  const Files files = map_all(paths);
  return describe_copy(parse_all(files, paths), config, tensors);
}

}  // namespace sgpt_mi::gguf

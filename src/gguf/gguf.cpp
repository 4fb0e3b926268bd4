#include "sgpt_mi/gguf/gguf.h"

#include <utility>

#include "gguf_model.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::gguf {
namespace {

class GgufSource : public containers::MappedSource {
 public:
  GgufSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
             std::vector<containers::TensorInfo> infos,
             std::vector<std::span<const std::byte>> bytes, std::vector<GgufWeight> weights)
      : containers::MappedSource(std::move(file), label, std::move(infos), std::move(bytes)),
        weights_(std::move(weights)) {}

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const GgufWeight& weight = weights_[position(name)];
    if (weight.type->unpack == nullptr && weight.paired_heads == 0) {
      return containers::MappedSource::read(name);
    }
    const auto buffer = std::make_shared<const std::vector<std::byte>>(unpack_weight(weight));
    return {weight.info, *buffer, buffer};
  }

 private:
  std::vector<GgufWeight> weights_;
};

}  // namespace

OpenedGguf open_gguf(const std::filesystem::path& path) {
  auto file = std::make_shared<const io::MappedFile>(path);
  GgufModel model = translate_gguf(parse_gguf(file->bytes(), path.string()));
  std::vector<containers::TensorInfo> infos;
  std::vector<std::span<const std::byte>> bytes;
  for (const GgufWeight& weight : model.weights) {
    infos.push_back(weight.info);
    bytes.push_back(weight.bytes);
  }
  auto tensors = std::make_unique<GgufSource>(std::move(file), path.string(), std::move(infos),
                                              std::move(bytes), std::move(model.weights));
  return {std::move(model.config), std::move(tensors), std::move(model.vocabulary)};
}

}  // namespace sgpt_mi::gguf

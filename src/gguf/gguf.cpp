#include "sgpt_mi/gguf/gguf.h"

#include <utility>

#include "gguf_model.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::gguf {
namespace {

class GgufSource : public containers::IndexedSource {
 public:
  GgufSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
             std::vector<containers::TensorInfo> infos, std::vector<GgufWeight> weights)
      : containers::IndexedSource(label, std::move(infos)),
        file_(std::move(file)),
        weights_(std::move(weights)) {}

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const GgufWeight& weight = weights_[position(name)];
    if (weight.type->unpack == nullptr && weight.paired_heads == 0) {
      return {weight.info, weight.bytes, file_};
    }
    const auto buffer = std::make_shared<const std::vector<std::byte>>(unpack_weight(weight));
    return {weight.info, *buffer, buffer};
  }

  void will_need(const std::string& name) const override {
    if (const auto at = place(name)) file_->will_need(weights_[*at].bytes);
  }

  void done_with(const std::string& name) const override {
    if (const auto at = place(name)) file_->done_with(weights_[*at].bytes);
  }

 private:
  std::shared_ptr<const io::MappedFile> file_;
  std::vector<GgufWeight> weights_;
};

}  // namespace

OpenedGguf open_gguf(const std::filesystem::path& path) {
  auto file = std::make_shared<const io::MappedFile>(path);
  GgufModel model = translate_gguf(parse_gguf(file->bytes(), path.string()));
  std::vector<containers::TensorInfo> infos;
  for (const GgufWeight& weight : model.weights) infos.push_back(weight.info);
  auto tensors = std::make_unique<GgufSource>(std::move(file), path.string(), std::move(infos),
                                              std::move(model.weights));
  return {std::move(model.config), std::move(tensors), std::move(model.vocabulary)};
}

}  // namespace sgpt_mi::gguf

#include "sgpt_mi/io/gguf.h"

#include <utility>

#include "gguf_model.h"
#include "indexed_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::io {
namespace {

class GgufSource : public IndexedSource {
 public:
  GgufSource(std::shared_ptr<const MappedFile> file, const std::string& label,
             std::vector<TensorInfo> infos, std::vector<GgufWeight> weights)
      : IndexedSource(label, std::move(infos)),
        file_(std::move(file)),
        weights_(std::move(weights)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
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
  std::shared_ptr<const MappedFile> file_;
  std::vector<GgufWeight> weights_;
};

}  // namespace

Checkpoint open_gguf(const std::filesystem::path& path) {
  auto file = std::make_shared<const MappedFile>(path);
  GgufModel model = translate_gguf(parse_gguf(file->bytes(), path.string()));
  std::vector<TensorInfo> infos;
  for (const GgufWeight& weight : model.weights) infos.push_back(weight.info);
  Checkpoint checkpoint;
  checkpoint.location = {path, true};
  checkpoint.config = std::move(model.config);
  checkpoint.gguf_vocabulary = std::move(model.vocabulary);
  checkpoint.tensors = std::make_unique<GgufSource>(std::move(file), path.string(),
                                                    std::move(infos), std::move(model.weights));
  return checkpoint;
}

}  // namespace sgpt_mi::io

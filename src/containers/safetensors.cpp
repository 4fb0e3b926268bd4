#include "sgpt_mi/containers/safetensors.h"

#include <utility>

#include "safetensors_header.h"
#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::containers {
namespace {

class SafetensorsSource : public IndexedSource {
 public:
  SafetensorsSource(std::shared_ptr<const io::MappedFile> file, const std::string& label,
                    SafetensorsLayout layout)
      : IndexedSource(label, std::move(layout.tensors)),
        file_(std::move(file)),
        offsets_(std::move(layout.offsets)) {}

  [[nodiscard]] TensorData read(const std::string& name) const override {
    const std::size_t at = position(name);
    return {tensors()[at], bytes_of(at), file_};
  }

  void will_need(const std::string& name) const override {
    if (const auto at = place(name)) file_->will_need(bytes_of(*at));
  }

  void done_with(const std::string& name) const override {
    if (const auto at = place(name)) file_->done_with(bytes_of(*at));
  }

 private:
  [[nodiscard]] std::span<const std::byte> bytes_of(std::size_t at) const {
    return file_->bytes().subspan(offsets_[at], tensors()[at].bytes());
  }

  std::shared_ptr<const io::MappedFile> file_;
  std::vector<std::size_t> offsets_;
};

}  // namespace

std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path) {
  auto file = std::make_shared<const io::MappedFile>(path);
  SafetensorsLayout layout = parse_safetensors(file->bytes(), path.string());
  return std::make_unique<SafetensorsSource>(std::move(file), path.string(), std::move(layout));
}

std::map<std::string, std::string> safetensors_metadata(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_safetensors(file.bytes(), path.string()).metadata;
}

}  // namespace sgpt_mi::containers

#include "sgpt_mi/formats/integer_checkpoint.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"

namespace sgpt_mi::formats {
namespace {

using integer_layouts::MatrixLayout;

constexpr std::string_view kGptq = "gptq";
constexpr std::string_view kCompressedTensors = "compressed-tensors";

std::string method_of(const nlohmann::json& config) {
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || !quantization->is_object()) return {};
  const auto method = quantization->find("quant_method");
  return method != quantization->end() && method->is_string() ? method->get<std::string>() : "";
}

/// The dense tensors' descriptions: a matrix takes the place of its first part.
template <typename Reader>
std::vector<containers::TensorInfo> dense_tensors(const containers::TensorSource& stored,
                                                  const std::vector<MatrixLayout>& layouts) {
  std::unordered_map<std::string, const MatrixLayout*> first_part;
  std::unordered_set<std::string> other_parts;
  for (const MatrixLayout& layout : layouts) {
    for (const std::string& suffix : Reader::suffixes()) other_parts.insert(layout.name + suffix);
    first_part.emplace(layout.name + Reader::suffixes().front(), &layout);
  }
  std::vector<containers::TensorInfo> tensors;
  for (const containers::TensorInfo& info : stored.tensors()) {
    const auto matrix = first_part.find(info.name);
    if (matrix != first_part.end()) {
      tensors.push_back(matrix->second->info().dense);
    } else if (!other_parts.contains(info.name)) {
      tensors.push_back(info);
    }
  }
  return tensors;
}

template <typename Reader>
class IntegerSource : public containers::IndexedSource, public CodeSource {
 public:
  IntegerSource(std::unique_ptr<containers::TensorSource> stored, Reader reader,
                std::vector<MatrixLayout> layouts, const std::string& source)
      : containers::IndexedSource(source, dense_tensors<Reader>(*stored, layouts)),
        stored_(std::move(stored)),
        reader_(std::move(reader)),
        source_(source) {
    for (MatrixLayout& layout : layouts) {
      std::string name = layout.name + ".weight";
      layouts_.emplace(std::move(name), std::move(layout));
    }
  }

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const containers::TensorInfo& info = tensors()[position(name)];
    const auto layout = layouts_.find(name);
    if (layout == layouts_.end()) return stored_->read(name);
    const auto buffer = std::make_shared<const std::vector<std::byte>>(
        integer_layouts::decode(reader_.read(*stored_, layout->second, source_)));
    return {info, *buffer, buffer};
  }

  [[nodiscard]] std::optional<packing::PackedParts> packed_parts(
      const std::string& /*tensor*/) const override {
    return std::nullopt;
  }

  [[nodiscard]] packing::UnpackedCodes read_codes(const std::string& name) const override {
    const MatrixLayout& layout = layouts_.at(name + ".weight");
    return integer_layouts::coded(reader_.read(*stored_, layout, source_), name, source_);
  }

  void will_need(const std::string& name) const override {
    for_stored(name, [this](const std::string& stored) { stored_->will_need(stored); });
  }
  void done_with(const std::string& name) const override {
    for_stored(name, [this](const std::string& stored) { stored_->done_with(stored); });
  }

 private:
  /// Calls for the tensors of the files that a tensor is made of.
  template <typename Call>
  void for_stored(const std::string& name, const Call& call) const {
    const auto layout = layouts_.find(name);
    if (layout == layouts_.end()) return call(name);
    for (const std::string& suffix : Reader::suffixes()) call(layout->second.name + suffix);
  }

  std::unique_ptr<containers::TensorSource> stored_;
  Reader reader_;
  std::string source_;
  std::unordered_map<std::string, MatrixLayout> layouts_;  // by dense tensor
};

template <typename Reader>
IntegerCheckpoint open_with(Reader reader, std::unique_ptr<containers::TensorSource> stored,
                            const std::string& source) {
  IntegerCheckpoint checkpoint;
  std::vector<MatrixLayout> layouts;
  for (const std::string& name : Reader::names(*stored)) {
    if (stored->find(name + ".weight") != nullptr) {
      fail(ErrorKind::kInput, "formats: {}: '{}' is there with codes and as a dense tensor", source,
           name);
    }
    layouts.push_back(reader.describe(*stored, name, source));
    checkpoint.matrices.push_back(layouts.back().info());
  }
  if (layouts.empty()) {
    fail(ErrorKind::kInput,
         "formats: {}: quantization_config names a quantized model, and no tensor ends in {}",
         source, Reader::suffixes().front());
  }
  auto opened = std::make_unique<IntegerSource<Reader>>(std::move(stored), std::move(reader),
                                                        std::move(layouts), source);
  checkpoint.codes = opened.get();
  checkpoint.tensors = std::move(opened);
  return checkpoint;
}

}  // namespace

bool is_integer_config(const nlohmann::json& config) {
  const std::string method = method_of(config);
  return method == kGptq || method == kCompressedTensors;
}

IntegerCheckpoint open_integer(std::unique_ptr<containers::TensorSource> stored,
                               const nlohmann::json& config, const std::string& source) {
  const nlohmann::json& quantization = config.at("quantization_config");
  if (method_of(config) == kGptq) {
    return open_with(integer_layouts::GptqReader(quantization, source), std::move(stored), source);
  }
  return open_with(integer_layouts::CompressedTensorsReader(quantization, source),
                   std::move(stored), source);
}

}  // namespace sgpt_mi::formats

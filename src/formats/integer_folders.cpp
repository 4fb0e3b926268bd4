#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model_folder.h"
#include "model_folders.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"
#include "shard_writer.h"

namespace sgpt_mi::formats {
namespace {

using integer_layouts::GptqVersion;

/// A tensor that a linear layer of the model may be: transformers has modules of class Linear for
/// all matrices but embeddings.
bool is_linear(const containers::TensorInfo& info) {
  return info.shape.size() == 2 && info.name.ends_with(".weight") &&
         info.name.find("embed") == std::string::npos;
}

/// Matrices as the tensors of another program's format, whose configuration goes into config.json.
class IntegerFolder : public ModelFolder {
 public:
  IntegerFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
                const SavedTypes& types)
      : ModelFolder(target, checkpoint, types), shards_(folder_.staging()) {}

  void put(const containers::TensorData& tensor) override {
    const containers::TensorInfo& info = types_.info_of(tensor.info.name);
    ensure(tensor.bytes.size() == info.bytes(), "formats: a compressed weight changed its size");
    write({info, tensor.bytes, tensor.owner});
    written_.insert(info.name);
  }

  [[nodiscard]] bool takes_codes() const override { return true; }

  void split_above(std::int64_t bytes) override {
    shards_.split_above(static_cast<std::size_t>(bytes));
  }

  void put_matrix(const std::string& name, const packing::CodedMatrix& coded,
                  const packing::PackedSize& size) override {
    integer_layouts::WrittenMatrix matrix = encode(name, coded);
    if (matrix.size != size) {
      fail(ErrorKind::kInternal, "formats: {} takes {} bytes where {} were predicted", name,
           matrix.size.total(), size.total());
    }
    for (integer_layouts::NamedTensor& tensor : matrix.tensors) {
      shards_.put(std::move(tensor.info), std::move(tensor.bytes));
    }
    written_.insert(name + ".weight");
  }

 protected:
  /// The tensors of a matrix; remembers it for the configuration.
  virtual integer_layouts::WrittenMatrix encode(const std::string& name,
                                                const packing::CodedMatrix& coded) = 0;
  /// \param dense  linears without codes.
  [[nodiscard]] virtual nlohmann::ordered_json quantization_config(
      const std::vector<std::string>& dense) const = 0;

 private:
  void write(const containers::TensorData& tensor) override {
    constexpr std::size_t kSuffix = std::string_view(".weight").size();
    const std::string& name = tensor.info.name;
    if (is_linear(tensor.info)) dense_.push_back(name.substr(0, name.size() - kSuffix));
    shards_.put(tensor);
  }

  std::int64_t finish_files() override {
    const std::int64_t bytes = shards_.finish();
    nlohmann::ordered_json config = checkpoint_.config;
    config["quantization_config"] = quantization_config(dense_);
    io::write_file_atomic(folder_.staging() / "config.json", config.dump(2) + "\n");
    return bytes;
  }

  ShardWriter shards_;
  std::vector<std::string> dense_;
};

class GptqFolder : public IntegerFolder {
 public:
  GptqFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
             const SavedTypes& types, GptqVersion version)
      : IntegerFolder(target, checkpoint, types), version_(version) {}

 private:
  integer_layouts::WrittenMatrix encode(const std::string& name,
                                        const packing::CodedMatrix& coded) override {
    integer_layouts::GptqMatrix matrix = integer_layouts::gptq_matrix(name, coded, version_);
    modules_.push_back(std::move(matrix.module));
    return std::move(matrix.written);
  }

  [[nodiscard]] nlohmann::ordered_json quantization_config(
      const std::vector<std::string>& dense) const override {
    std::vector<std::string> blocks;  // readers look for codes in the blocks alone
    for (const std::string& name : dense) {
      if (name.find("layers.") != std::string::npos) blocks.push_back(name);
    }
    return integer_layouts::gptq_config(modules_, blocks, version_);
  }

  GptqVersion version_;
  std::vector<integer_layouts::GptqModule> modules_;
};

class CompressedTensorsFolder : public IntegerFolder {
 public:
  using IntegerFolder::IntegerFolder;

 private:
  integer_layouts::WrittenMatrix encode(const std::string& name,
                                        const packing::CodedMatrix& coded) override {
    auto matrix = integer_layouts::compressed_tensors_matrix(name, coded);
    modules_.push_back(std::move(matrix.module));
    return std::move(matrix.written);
  }

  [[nodiscard]] nlohmann::ordered_json quantization_config(
      const std::vector<std::string>& dense) const override {
    return integer_layouts::compressed_tensors_config(modules_, dense);
  }

  std::vector<integer_layouts::CompressedModule> modules_;
};

}  // namespace

std::unique_ptr<SavingStore> open_gptq_folder(const std::filesystem::path& target,
                                              const Checkpoint& checkpoint,
                                              const SavedTypes& types) {
  return std::make_unique<GptqFolder>(target, checkpoint, types, GptqVersion::kV2);
}

std::unique_ptr<SavingStore> open_gptq_v1_folder(const std::filesystem::path& target,
                                                 const Checkpoint& checkpoint,
                                                 const SavedTypes& types) {
  return std::make_unique<GptqFolder>(target, checkpoint, types, GptqVersion::kV1);
}

std::unique_ptr<SavingStore> open_compressed_tensors_folder(const std::filesystem::path& target,
                                                            const Checkpoint& checkpoint,
                                                            const SavedTypes& types) {
  return std::make_unique<CompressedTensorsFolder>(target, checkpoint, types);
}

}  // namespace sgpt_mi::formats

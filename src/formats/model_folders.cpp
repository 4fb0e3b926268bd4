#include "model_folders.h"

#include <optional>

#include "model_folder.h"
#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::formats {
namespace {

/// config.json of the dense model, byte for byte where the checkpoint has a file that says it.
void copy_config(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  std::string text = checkpoint.config.dump(2) + "\n";
  if (checkpoint.location.is_folder()) {
    // Read once: the file may have changed since the run began.
    const io::MappedFile own(checkpoint.location.path / "config.json");
    const std::string bytes(reinterpret_cast<const char*>(own.bytes().data()), own.bytes().size());
    if (nlohmann::json::parse(bytes, nullptr, false) == checkpoint.config) text = bytes;
  }
  io::write_file_atomic(folder / "config.json", text);
}

class HfFolder : public ModelFolder {
 public:
  HfFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
           const SavedTypes& types)
      : ModelFolder(target, checkpoint, types) {}

  void split_above(std::int64_t bytes) override { shard_bytes_ = static_cast<std::size_t>(bytes); }

  void put(const containers::TensorData& tensor) override {
    write(tensor);
    written_.insert(tensor.info.name);
  }

 private:
  void write(const containers::TensorData& tensor) override {
    writer().put(tensor.info.name, tensor.bytes);
  }
  std::int64_t finish_files() override {
    writer().finish();
    copy_config(checkpoint_, folder_.staging());
    return static_cast<std::int64_t>(types_.bytes()) + writer().header_bytes();
  }

  /// Started when the size of the files is known.
  containers::SafetensorsWriter& writer() {
    if (!writer_) writer_.emplace(folder_.staging(), types_.tensors(), shard_bytes_);
    return *writer_;
  }

  std::size_t shard_bytes_ = containers::SafetensorsWriter::kShardBytes;
  std::optional<containers::SafetensorsWriter> writer_;
};

class PackedFolder : public ModelFolder {
 public:
  PackedFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
               const SavedTypes& types)
      : ModelFolder(target, checkpoint, types), writer_(folder_.staging()) {}

  void put(const containers::TensorData& tensor) override {
    const containers::TensorInfo& info = types_.info_of(tensor.info.name);
    ensure(tensor.bytes.size() == info.bytes(), "formats: a compressed weight changed its size");
    write({info, tensor.bytes, tensor.owner});
    written_.insert(info.name);
  }

  [[nodiscard]] bool takes_codes() const override { return true; }

  void split_above(std::int64_t bytes) override {
    writer_.split_above(static_cast<std::size_t>(bytes));
  }

  void put_matrix(const std::string& name, const packing::CodedMatrix& coded,
                  const packing::PackedSize& size) override {
    const packing::PackedSize written = writer_.put_matrix(name, coded);
    if (written != size) {
      fail(ErrorKind::kInternal, "formats: {} takes {} bytes packed where {} were predicted", name,
           written.total(), size.total());
    }
    written_.insert(name + ".weight");
  }

 private:
  void write(const containers::TensorData& tensor) override { writer_.put_dense(tensor); }
  std::int64_t finish_files() override { return writer_.finish(checkpoint_.config); }

  PackedWriter writer_;
};

}  // namespace

std::unique_ptr<SavingStore> open_hf_folder(const std::filesystem::path& target,
                                            const Checkpoint& checkpoint, const SavedTypes& types) {
  return std::make_unique<HfFolder>(target, checkpoint, types);
}

std::unique_ptr<SavingStore> open_packed_folder(const std::filesystem::path& target,
                                                const Checkpoint& checkpoint,
                                                const SavedTypes& types) {
  return std::make_unique<PackedFolder>(target, checkpoint, types);
}

}  // namespace sgpt_mi::formats

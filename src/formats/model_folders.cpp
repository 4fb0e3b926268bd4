#include "model_folders.h"

#include <array>
#include <system_error>
#include <unordered_set>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::formats {
namespace {

/// Files besides config.json and the weights that make a folder loadable elsewhere.
constexpr std::array<const char*, 9> kCompanionFiles{"tokenizer.json",
                                                     "tokenizer.model",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "vocab.json",
                                                     "merges.txt",
                                                     "chat_template.jinja",
                                                     "generation_config.json"};

void copy_to(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (error) {
    fail(ErrorKind::kInput, "save: {} could not be copied to {}: {}", from.string(), to.string(),
         error.message());
  }
}

/// config.json of the dense model, byte for byte where the checkpoint has such a file.
void copy_config(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (checkpoint.location.is_folder() && checkpoint.packed_matrices.empty()) {
    copy_to(checkpoint.location.path / "config.json", folder / "config.json");
  } else {
    io::write_file_atomic(folder / "config.json", checkpoint.config.dump(2) + "\n");
  }
}

/// What every saved folder holds besides config.json and the weights: the tokenizer's files,
/// copied, or made from a GGUF file's metadata. Throws Error(kInput) naming the file.
void copy_companions(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (checkpoint.location.is_gguf) {
    if (!checkpoint.gguf_vocabulary) return;
    for (const auto& [name, bytes] : tokenizer::tokenizer_files(*checkpoint.gguf_vocabulary)) {
      io::write_file_atomic(folder / name, bytes);
    }
    return;
  }
  if (!checkpoint.location.is_folder()) return;
  for (const char* name : kCompanionFiles) {
    const std::filesystem::path from = checkpoint.location.path / name;
    if (std::filesystem::exists(from)) copy_to(from, folder / name);
  }
}

/// Throws Error(kInput) when the disk under `folder` has less room than `bytes`.
void require_space(const std::filesystem::path& folder, std::size_t bytes) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (!error && space.available < bytes) {
    fail(ErrorKind::kInput, "save: {} has {} free, the model takes {}; free room or save elsewhere",
         folder.parent_path().string(), human_bytes(static_cast<std::int64_t>(space.available)),
         human_bytes(static_cast<std::int64_t>(bytes)));
  }
}

/// What every format's folder does around the tensors' files.
class ModelFolder : public SavingStore {
 public:
  ModelFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
              const SavedTypes& types)
      : checkpoint_(checkpoint), types_(types), folder_(target, kReportFile) {
    require_space(folder_.staging(), types_.bytes());
  }

  void finish(const std::string& run_report) final {
    for (const containers::TensorInfo& info : types_.tensors()) {
      if (written_.contains(info.name)) continue;
      check_interrupt();
      write(types_.read(info.name));
    }
    finish_files();
    copy_companions(checkpoint_, folder_.staging());
    io::write_file_atomic(folder_.staging() / kReportFile, run_report);
    folder_.commit();
  }

 protected:
  /// Writes a dense tensor.
  virtual void write(const containers::TensorData& tensor) = 0;
  /// Completes the tensors' files and writes config.json.
  virtual void finish_files() = 0;

  const Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  std::unordered_set<std::string> written_;
};

class HfFolder : public ModelFolder {
 public:
  HfFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
           const SavedTypes& types)
      : ModelFolder(target, checkpoint, types), writer_(folder_.staging(), types_.tensors()) {}

  void put(const containers::TensorData& tensor) override {
    write(tensor);
    written_.insert(tensor.info.name);
  }

 private:
  void write(const containers::TensorData& tensor) override {
    writer_.put(tensor.info.name, tensor.bytes);
  }
  void finish_files() override {
    writer_.finish();
    copy_config(checkpoint_, folder_.staging());
  }

  containers::SafetensorsWriter writer_;
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
  void finish_files() override { writer_.finish(checkpoint_.config); }

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

#include "hf_folder.h"

#include <unordered_set>

#include "companions.h"
#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::formats {
namespace {

class HfFolder : public SavingStore {
 public:
  HfFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
           const SavedTypes& types)
      : checkpoint_(checkpoint), types_(types), folder_(target, kReportFile) {
    require_space(folder_.staging(), types_.bytes());
    writer_ = std::make_unique<containers::SafetensorsWriter>(folder_.staging(), types_.tensors());
  }

  void put(const containers::TensorData& tensor) override {
    writer_->put(tensor.info.name, tensor.bytes);
    written_.insert(tensor.info.name);
  }

  void finish(const std::string& run_report) override {
    for (const containers::TensorInfo& info : types_.tensors()) {
      if (written_.contains(info.name)) continue;
      check_interrupt();
      writer_->put(info.name, types_.read(info.name).bytes);
    }
    writer_->finish();
    copy_config(checkpoint_, folder_.staging());
    copy_companions(checkpoint_, folder_.staging());
    io::write_file_atomic(folder_.staging() / kReportFile, run_report);
    folder_.commit();
  }

 private:
  const Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  std::unique_ptr<containers::SafetensorsWriter> writer_;
  std::unordered_set<std::string> written_;
};

}  // namespace

std::unique_ptr<SavingStore> open_hf_folder(const std::filesystem::path& target,
                                            const Checkpoint& checkpoint, const SavedTypes& types) {
  return std::make_unique<HfFolder>(target, checkpoint, types);
}

}  // namespace sgpt_mi::formats

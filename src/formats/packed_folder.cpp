#include "packed_folder.h"

#include <unordered_set>

#include "companions.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::formats {
namespace {

class PackedFolder : public SavingStore {
 public:
  PackedFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
               const SavedTypes& types)
      : checkpoint_(checkpoint),
        types_(types),
        folder_(target, kReportFile),
        writer_(folder_.staging()) {
    require_space(folder_.staging(), types_.bytes());
  }

  void put(const containers::TensorData& tensor) override {
    const containers::TensorInfo& info = types_.info_of(tensor.info.name);
    ensure(tensor.bytes.size() == info.bytes(), "formats: a compressed weight changed its size");
    writer_.put_dense({info, tensor.bytes, tensor.owner});
    written_.insert(info.name);
  }

  [[nodiscard]] bool takes_codes() const override { return true; }

  void put_matrix(const std::string& name, const packing::CodedMatrix& coded,
                  const packing::PackedSize& size) override {
    const packing::PackedSize written = writer_.put_matrix(name, coded);
    if (written != size) {
      fail(ErrorKind::kInternal, "formats: {} takes {} bytes packed where {} were predicted", name,
           written.total(), size.total());
    }
    written_.insert(name + ".weight");
  }

  void finish(const std::string& run_report) override {
    for (const containers::TensorInfo& info : types_.tensors()) {
      if (written_.contains(info.name)) continue;
      check_interrupt();
      writer_.put_dense(types_.read(info.name));
    }
    writer_.finish(checkpoint_.config);
    copy_companions(checkpoint_, folder_.staging());
    io::write_file_atomic(folder_.staging() / kReportFile, run_report);
    folder_.commit();
  }

 private:
  const Checkpoint& checkpoint_;
  const SavedTypes& types_;
  io::StagedFolder folder_;
  PackedWriter writer_;
  std::unordered_set<std::string> written_;
};

}  // namespace

std::unique_ptr<SavingStore> open_packed_folder(const std::filesystem::path& target,
                                                const Checkpoint& checkpoint,
                                                const SavedTypes& types) {
  return std::make_unique<PackedFolder>(target, checkpoint, types);
}

}  // namespace sgpt_mi::formats

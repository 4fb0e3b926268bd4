#include "sgpt_mi/containers/renamed_source.h"

#include <utility>

#include "sgpt_mi/containers/indexed_source.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::containers {
namespace {

std::vector<TensorInfo> renamed_infos(const TensorSource& stored,
                                      const std::vector<Renaming>& renamings) {
  std::vector<TensorInfo> infos;
  infos.reserve(renamings.size());
  for (const Renaming& renaming : renamings) {
    const TensorInfo* info = stored.find(renaming.stored);
    ensure(info != nullptr, "io: a tensor that is not there gets another name");
    infos.push_back(*info);
    infos.back().name = renaming.name;
  }
  return infos;
}

class RenamedSource : public IndexedSource {
 public:
  RenamedSource(std::unique_ptr<TensorSource> stored, const std::vector<Renaming>& renamings)
      : IndexedSource("the model", renamed_infos(*stored, renamings)), stored_(std::move(stored)) {
    names_.reserve(renamings.size());
    for (const Renaming& renaming : renamings) names_.push_back(renaming.stored);
  }

  [[nodiscard]] TensorData read(const std::string& name) const override {
    TensorData data = stored_->read(names_[position(name)]);
    data.info.name = name;
    return data;
  }

  [[nodiscard]] StoredForm stored(const std::string& name) const override {
    return stored_->stored(names_[position(name)]);
  }

  [[nodiscard]] std::optional<StoredBlocks> stored_blocks(const std::string& name) const override {
    return stored_->stored_blocks(names_[position(name)]);
  }

  void will_need(const std::string& name) const override {
    if (const auto at = place(name)) stored_->will_need(names_[*at]);
  }

  void done_with(const std::string& name) const override {
    if (const auto at = place(name)) stored_->done_with(names_[*at]);
  }

 private:
  std::unique_ptr<TensorSource> stored_;
  std::vector<std::string> names_;  // in the stored source, in the order of tensors()
};

}  // namespace

std::unique_ptr<TensorSource> rename_tensors(std::unique_ptr<TensorSource> stored,
                                             const std::vector<Renaming>& renamings) {
  return std::make_unique<RenamedSource>(std::move(stored), renamings);
}

}  // namespace sgpt_mi::containers

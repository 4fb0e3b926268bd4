#include "sgpt_mi/pipeline/export.h"

#include <spdlog/fmt/fmt.h>

#include <system_error>

#include "session.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/checkpoint.h"
#include "sgpt_mi/io/documents.h"
#include "sgpt_mi/model/model.h"
#include "weight_store.h"

namespace sgpt_mi::pipeline {

void export_hf(const std::string& source, const std::filesystem::path& target, Events& events) {
  const io::ModelLocation location = io::locate_model(source);
  std::error_code error;
  if (std::filesystem::equivalent(location.path, target, error)) {
    fail(ErrorKind::kUsage, "export: {} is the source itself; give another folder",
         target.string());
  }
  const io::Checkpoint checkpoint = open_model(source);
  const model::Model checked(checkpoint);  // a folder that no program could load is not written
  const SavedTypes types(checkpoint);
  FolderStore store(target, checkpoint, types);
  events.stage("export", 1);
  const std::filesystem::path report = location.path / SavingStore::kReportFile;
  const bool has_report = location.is_folder() && std::filesystem::exists(report);
  store.finish(has_report ? io::read_text_file(report) : std::string("{}\n"));
  events.progress(1);
  events.result(fmt::format("{} tensors of {} written to {}", types.tensors().size(),
                            checked.spec().model_type, target.string()));
}

}  // namespace sgpt_mi::pipeline

#include "sgpt_mi/pipeline/export.h"

#include <spdlog/fmt/fmt.h>

#include <system_error>

#include "session.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::pipeline {

void export_model(const std::string& source, const ExportTarget& target, report::Events& events) {
  const formats::ModelLocation location = formats::locate_model(source);
  std::error_code error;
  if (std::filesystem::equivalent(location.path, target.path, error)) {
    fail(ErrorKind::kUsage, "export: {} is the source itself; give another name",
         target.path.string());
  }
  const formats::Checkpoint checkpoint = open_model(source);
  const model::Model checked(checkpoint);  // a folder that no program could load is not written
  const formats::SavedTypes types(checkpoint);
  if (target.format.check != nullptr) target.format.check(checkpoint);
  const auto store = target.format.open(target.path, checkpoint, types);
  if (target.shard_bytes > 0) store->split_above(target.shard_bytes);
  events.stage("export", 1);
  const std::filesystem::path report = location.path / formats::SavingStore::kReportFile;
  const bool has_report = location.is_folder() && std::filesystem::exists(report);
  store->finish(has_report ? documents::read_text_file(report) : std::string("{}\n"));
  events.progress(1);
  events.result(fmt::format("{} tensors of {} written to {}", types.tensors().size(),
                            checked.spec().model_type, target.path.string()));
}

}  // namespace sgpt_mi::pipeline

#include "model_folder.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/hf_config/folder_files.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::formats {
namespace {

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
  const auto copy = [&](std::string_view name) {
    const std::filesystem::path from = checkpoint.location.path / name;
    if (std::filesystem::exists(from)) copy_to(from, folder / name);
  };
  for (const std::string_view name : hf_config::kTokenizerFiles) copy(name);
  copy("generation_config.json");
}

}  // namespace

std::optional<std::string_view> find_weight_file(const std::filesystem::path& folder) {
  std::error_code not_there;
  const auto found = std::find_if(
      kWeightFiles.begin(), kWeightFiles.end(),
      [&](std::string_view name) { return std::filesystem::exists(folder / name, not_there); });
  return found == kWeightFiles.end() ? std::nullopt : std::optional(*found);
}

std::string_view require_weight_file(const std::filesystem::path& folder) {
  const auto found = find_weight_file(folder);
  if (found) return *found;
  fail(ErrorKind::kInput, "io: {} holds no weights; one of {} was expected", folder.string(),
       fmt::join(kWeightFiles, ", "));
}

void copy_to(const std::filesystem::path& from, const std::filesystem::path& to) {
  const io::MappedFile file(from);
  const std::span<const std::byte> bytes = file.bytes();
  io::write_file_atomic(to, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

ModelFolder::ModelFolder(const std::filesystem::path& target, const Checkpoint& checkpoint,
                         const SavedTypes& types)
    : checkpoint_(checkpoint), types_(types), folder_(target, kReportFile) {}

void ModelFolder::finish(const RunReportText& run_report) {
  for (const containers::TensorInfo& info : types_.tensors()) {
    if (written_.contains(info.name)) continue;
    check_interrupt();
    write(types_.read(info.name));
  }
  const std::int64_t file_bytes = finish_files();
  copy_companions(checkpoint_, folder_.staging());
  io::write_file_atomic(folder_.staging() / kReportFile, run_report(file_bytes));
  folder_.commit();
}

}  // namespace sgpt_mi::formats

#include "model_folder.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <regex>
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

/// The largest file that may hold weights under a name that nobody looks for; empty when there is
/// none. What trainers leave beside a model is none.
std::string other_weights(const std::filesystem::path& folder) {
  constexpr std::array<std::string_view, 5> kOfTraining{"training_args", "optimizer", "scheduler",
                                                        "rng_state", "adapter_model"};
  std::string largest;
  std::uintmax_t most = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name.ends_with(".safetensors") || name.ends_with(".bin");
    const bool training =
        std::any_of(kOfTraining.begin(), kOfTraining.end(),
                    [&](std::string_view stem) { return name.starts_with(stem); });
    const std::uintmax_t bytes = weights && !training ? entry.file_size(error) : 0;
    if (bytes <= most || error) continue;
    most = bytes;
    largest = name;
  }
  return largest;
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

bool is_model_file(const std::string& name) {
  static const std::regex shard(R"((model|pytorch_model)-\d+-of-\d+\.(safetensors|bin))");
  constexpr std::array<std::string_view, 4> kDescriptions{
      "config.json", "generation_config.json", "quantize_config.json", SavingStore::kReportFile};
  const auto in = [&](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return in(kDescriptions) || in(kWeightFiles) || in(hf_config::kTokenizerFiles) ||
         std::regex_match(name, shard);
}

std::string_view require_weight_file(const std::filesystem::path& folder) {
  const auto found = find_weight_file(folder);
  if (found) return *found;
  const std::string other = other_weights(folder);
  fail(ErrorKind::kInput, "io: {} holds no weights; one of {} was expected{}", folder.string(),
       fmt::join(kWeightFiles, ", "),
       other.empty()
           ? ""
           : fmt::format("; it has {}: if that is the whole model, name it {}, and if it "
                         "is a part, get the index",
                         other,
                         other.ends_with(".bin") ? "pytorch_model.bin" : "model.safetensors"));
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

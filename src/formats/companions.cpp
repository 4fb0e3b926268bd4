#include "companions.h"

#include <array>
#include <system_error>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
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

}  // namespace

void copy_config(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (checkpoint.location.is_folder() && checkpoint.packed_matrices.empty()) {
    copy_to(checkpoint.location.path / "config.json", folder / "config.json");
  } else {
    io::write_file_atomic(folder / "config.json", checkpoint.config.dump(2) + "\n");
  }
}

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

void require_space(const std::filesystem::path& folder, std::size_t bytes) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (!error && space.available < bytes) {
    fail(ErrorKind::kInput, "save: {} has {} free, the model takes {}; free room or save elsewhere",
         folder.parent_path().string(), human_bytes(static_cast<std::int64_t>(space.available)),
         human_bytes(static_cast<std::int64_t>(bytes)));
  }
}

}  // namespace sgpt_mi::formats

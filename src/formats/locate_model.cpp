#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::formats {
namespace {

namespace fs = std::filesystem;

/// Whether the file begins as GGUF does.
bool has_gguf_magic(const fs::path& path) {
  constexpr std::string_view kMagic = "GGUF";
  const io::MappedFile file(path);
  return file.bytes().size() >= kMagic.size() &&
         std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
}

/// Whether the text can be a Hub id: NAME or ORG/NAME of letters, digits, '-', '_' and '.'.
bool looks_like_hub_id(const std::string& text) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  };
  return !text.empty() && std::isalnum(static_cast<unsigned char>(text.front())) != 0 &&
         text.back() != '/' && std::all_of(text.begin(), text.end(), allowed) &&
         std::count(text.begin(), text.end(), '/') <= 1 && text.find("..") == std::string::npos;
}

/// models--ORG--NAME of a Hub id, as the cache spells it.
std::string cache_folder_name(const std::string& id) {
  std::string name = "models--" + id;
  if (const auto slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

/// The snapshot folder that refs/main of a cached model points to.
fs::path snapshot_of(const fs::path& cached, const std::string& id) {
  const fs::path reference = cached / "refs" / "main";
  std::error_code not_there;
  if (!fs::is_regular_file(reference, not_there)) {
    fail(ErrorKind::kInput,
         "io: {} is in the Hugging Face cache, but {} is missing; download it again", id,
         reference.string());
  }
  std::string revision = documents::read_text_file(reference);
  revision.erase(std::remove_if(revision.begin(), revision.end(),
                                [](unsigned char c) { return std::isspace(c) != 0; }),
                 revision.end());
  const bool plain = !revision.empty() && revision != "." && revision != ".." &&
                     revision.find('/') == std::string::npos;
  fs::path snapshot = cached / "snapshots" / revision;
  if (!plain || !fs::is_directory(snapshot, not_there)) {
    fail(ErrorKind::kInput, "io: {} names revision '{}', but {} is not there; download {} again",
         reference.string(), revision, snapshot.string(), id);
  }
  return snapshot;
}

/// The first file of the split model that is asked for as NAME.gguf; nothing when there is none.
/// Throws Error(kInput) when there are several.
std::optional<fs::path> first_shard(const fs::path& target) {
  if (target.extension() != ".gguf") return std::nullopt;
  const std::string start = target.stem().string() + "-00001-of-";
  std::error_code not_there;
  std::optional<fs::path> found;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, not_there)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || entry.path().extension() != ".gguf") continue;
    if (found) {
      fail(ErrorKind::kInput, "io: {} may be the model that begins with {} or with {}; name one",
           target.string(), found->string(), entry.path().string());
    }
    found = target.parent_path() / name;
  }
  return found;
}

}  // namespace

ModelLocation locate_model(const std::string& model) {
  const fs::path path(model);
  if (model.starts_with("random:")) return {path, false, true};
  std::error_code not_there;  // a name that is too long or a forbidden folder is not found, either
  if (fs::is_directory(path, not_there)) return locate_in_folder(path);
  if (fs::is_regular_file(path, not_there)) {
    if (has_gguf_magic(path)) return {gguf::shard_paths(path).front(), true};
    fail(ErrorKind::kInput,
         "io: {} is a file, but not GGUF; pass a GGUF file or the folder that holds config.json",
         model);
  }
  if (const auto first = first_shard(path)) return {*first, true};
  if (!looks_like_hub_id(model)) {
    fail(ErrorKind::kInput,
         "io: model '{}' not found: there is no such folder or file, and it is not a Hub id "
         "(ORG/NAME)",
         model);
  }
  const fs::path cached = documents::hub_cache() / cache_folder_name(model);
  if (!fs::is_directory(cached, not_there)) {
    fail(ErrorKind::kInput,
         "io: model '{}' not found; tried the folder or file {} and the Hugging Face cache {}; "
         "download it first, or set HF_HOME or HF_HUB_CACHE",
         model, fs::absolute(path).string(), cached.string());
  }
  return locate_in_folder(snapshot_of(cached, model));
}

}  // namespace sgpt_mi::formats

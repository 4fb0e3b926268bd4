#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/lower_case.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/hub/hub.h"
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

bool is_gguf_name(const fs::path& path) { return lower_case(path.extension().string()) == ".gguf"; }

/// The first file of the split model that is asked for as NAME.gguf; nothing when there is none.
/// Throws Error(kInput) when there are several.
std::optional<fs::path> first_shard(const fs::path& target) {
  if (!is_gguf_name(target)) return std::nullopt;
  const std::string start = target.stem().string() + "-00001-of-";
  std::error_code not_there;
  std::optional<fs::path> found;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, not_there)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || !is_gguf_name(entry.path())) continue;
    if (found) {
      fail(ErrorKind::kInput, "io: {} may be the model that begins with {} or with {}; name one",
           target.string(), found->string(), entry.path().string());
    }
    found = target.parent_path() / name;
  }
  return found;
}

/// A folder, a file or made-up weights; nothing when there is none of that name.
std::optional<ModelLocation> locate_here(const std::string& model) {
  const fs::path path(model);
  if (model.starts_with("random:")) return ModelLocation{path, false, true};
  std::error_code not_there;  // a name that is too long or a forbidden folder is not found, either
  if (fs::is_directory(path, not_there)) return locate_in_folder(path);
  if (fs::is_regular_file(path, not_there)) {
    if (has_gguf_magic(path)) return ModelLocation{gguf::shard_paths(path).front(), true};
    fail(ErrorKind::kInput,
         "io: {} is a file, but not GGUF; pass a GGUF file or the folder that holds config.json",
         model);
  }
  if (const auto first = first_shard(path)) return ModelLocation{*first, true};
  return std::nullopt;
}

/// A model of the Hub, from the cache or downloaded.
ModelLocation locate_on_hub(const std::string& model, hub::Part part) {
  std::error_code not_there;
  const std::string without_revision = model.substr(0, model.rfind('@'));
  if (without_revision != model && fs::exists(without_revision, not_there)) {
    fail(ErrorKind::kUsage, "revision: {} is a folder or file here; --revision is for Hub ids",
         without_revision);
  }
  const auto name = hub::parse_model_name(model);
  if (!name) {
    fail(ErrorKind::kInput,
         "io: model '{}' not found: there is no such folder or file, and it is not a Hub id "
         "(ORG/NAME, ORG/NAME:FILE.gguf or ORG/NAME:Q4_K_M)",
         model);
  }
  try {
    const fs::path path = hub::find_model(*name, part);
    return fs::is_directory(path) ? locate_in_folder(path) : ModelLocation{path, true};
  } catch (const Error& error) {  // an id may be meant as a path
    if (error.kind() != ErrorKind::kInput) throw;
    fail(ErrorKind::kInput, "{} (there is no folder or file {}, either)", error.what(),
         fs::absolute(name->id).string());
  }
}

}  // namespace

ModelLocation locate_model(const std::string& model) {
  const auto here = locate_here(model);
  return here ? *here : locate_on_hub(model, hub::Part::kAll);
}

ModelLocation locate_tokenizer(const std::string& model) {
  const auto here = locate_here(model);
  return here ? *here : locate_on_hub(model, hub::Part::kTokenizer);
}

}  // namespace sgpt_mi::formats

#include "model_choice.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "names.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/lower_case.h"
#include "sgpt_mi/hf_config/folder_files.h"
#include "sgpt_mi/io/json_file.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

/// Taken when they are there; sgpt_mi.json is the report in a folder of compress --save.
constexpr std::array<std::string_view, 3> kOtherFiles{"config.json", "generation_config.json",
                                                      "sgpt_mi.json"};

struct WeightKind {
  std::string_view file;
  bool is_index;
};
/// In the order in which formats/checkpoint.cpp looks for them.
constexpr std::array<WeightKind, 4> kWeightKinds{{{"model.safetensors", false},
                                                  {"model.safetensors.index.json", true},
                                                  {"pytorch_model.bin", false},
                                                  {"pytorch_model.bin.index.json", true}}};

/// A GGUF model: one file, or NAME-00001-of-00003.gguf and so on.
struct GgufModel {
  std::string stem;  ///< path without the part's number and ".gguf"
  std::vector<std::string> parts;
  std::size_t of = 1;
};

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The GGUF models among names, in name order; projectors of pictures are none.
std::vector<GgufModel> gguf_models(const std::vector<std::string>& names) {
  constexpr std::string_view kPart = "-00001-of-00003";
  std::map<std::pair<std::string, std::size_t>, GgufModel>
      models;  // x.gguf may lie beside x's parts
  for (const std::string& name : names) {
    if (!lower_case(name).ends_with(".gguf") || lower_case(file_name(name)).starts_with("mmproj"))
      continue;
    std::string stem = name.substr(0, name.size() - 5);
    std::size_t of = 1;
    if (stem.size() > kPart.size()) {
      const std::string_view tail = std::string_view(stem).substr(stem.size() - kPart.size());
      if (tail[0] == '-' && tail.substr(6, 4) == "-of-" && is_digits(tail.substr(1, 5)) &&
          is_digits(tail.substr(10))) {
        of = static_cast<std::size_t>(std::stoi(std::string(tail.substr(10))));
        stem.resize(stem.size() - kPart.size());
      }
    }
    GgufModel& model = models[{stem, of}];
    model.stem = stem;
    model.of = of;
    model.parts.push_back(name);
  }
  std::vector<GgufModel> result;
  for (auto& [key, model] : models) {
    std::sort(model.parts.begin(), model.parts.end());
    result.push_back(std::move(model));
  }
  return result;
}

/// Whether a model's name ends with the type, as in tiny.Q4_K_M or Q4_K_M/tiny.
bool has_type(const std::string& stem, const std::string& type) {
  const std::string name = lower_case(stem);
  const std::string wanted = lower_case(type);
  if (name == wanted || name.find(wanted + "/") == 0) return true;
  if (name.find("/" + wanted + "/") != std::string::npos) return true;
  if (name.size() <= wanted.size() || !name.ends_with(wanted)) return false;
  const char before = name[name.size() - wanted.size() - 1];
  return before == '-' || before == '.' || before == '_' || before == '/';
}

/// The models that `wanted` (a file, a name without path, or a type) means; all when it is empty.
std::vector<GgufModel> matching(const std::vector<GgufModel>& models, const std::string& wanted) {
  if (wanted.empty()) return models;
  std::vector<GgufModel> found;
  const auto keep = [&](auto&& fits) {
    if (found.empty()) std::copy_if(models.begin(), models.end(), std::back_inserter(found), fits);
  };
  keep([&](const GgufModel& model) { return contains(model.parts, wanted); });
  keep([&](const GgufModel& model) { return model.stem + ".gguf" == wanted; });
  keep([&](const GgufModel& model) {
    return std::any_of(model.parts.begin(), model.parts.end(),
                       [&](const std::string& part) { return file_name(part) == wanted; });
  });
  keep([&](const GgufModel& model) { return file_name(model.stem) + ".gguf" == wanted; });
  keep([&](const GgufModel& model) { return has_type(model.stem, wanted); });
  return found;
}

std::string listed(const std::vector<GgufModel>& models) {
  std::vector<std::string> names;
  names.reserve(models.size());
  for (const GgufModel& model : models) names.push_back(model.parts.front());
  return fmt::format("{}", fmt::join(names, ", "));
}

Choice choose_gguf(const ModelName& name, const std::vector<GgufModel>& models) {
  const std::vector<GgufModel> fitting = matching(models, name.file);
  if (fitting.size() == 1) {
    if (fitting[0].parts.size() != fitting[0].of) {
      fail(ErrorKind::kInput, "hub: '{}' holds {} of the {} parts of {}.gguf; choose another file",
           name.id, fitting[0].parts.size(), fitting[0].of, fitting[0].stem);
    }
    return {fitting[0].parts, "", fitting[0].parts.front()};
  }
  if (models.empty()) {
    fail(ErrorKind::kInput, "hub: model '{}' has no GGUF file, and {} asks for one; leave :{} out",
         name.id, shown(name.file), name.file);
  }
  fail(ErrorKind::kInput, "hub: model '{}' has {}: {}; name one: {}:FILE or {}:TYPE", name.id,
       fitting.empty() ? "no GGUF file like '" + name.file + "'" : "several GGUF files",
       listed(fitting.empty() ? models : fitting), name.id, name.id);
}

std::vector<std::string> gguf_files_below(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) {
    std::error_code broken;
    if (lower_case(entry->path().extension().string()) == ".gguf" &&
        fs::is_regular_file(entry->path(), broken)) {
      names.push_back(entry->path().lexically_relative(folder).generic_string());
    }
  }
  return names;
}

bool is_there(const fs::path& path) {
  std::error_code not_there;
  return fs::is_regular_file(path, not_there);
}

bool has_weights(const fs::path& folder) {
  for (const WeightKind& kind : kWeightKinds) {
    if (!is_there(folder / kind.file)) continue;
    if (!kind.is_index) return true;
    const std::vector<std::string> shards = shards_of(folder / kind.file);
    return std::all_of(shards.begin(), shards.end(),
                       [&](const std::string& shard) { return is_there(folder / shard); });
  }
  return false;
}

/// \param has  whether there is a file of that name.
bool has_tokenizer(const auto& has) {
  return has("tokenizer.json") || has("tokenizer.model") ||
         (has("vocab.json") && has("merges.txt"));
}

/// LocalModel::lacks of a snapshot.
std::string lacking(const fs::path& snapshot) {
  const auto has = [&](std::string_view name) { return is_there(snapshot / name); };
  if (!has_tokenizer(has)) return "a tokenizer";
  for (const std::string_view name : {"tokenizer_config.json", "config.json"}) {
    if (!has(name)) return std::string(name);
  }
  return "";
}

void append_present(std::vector<std::string>& files, const auto& wanted,
                    const std::vector<std::string>& names) {
  for (const std::string_view name : wanted) {
    if (contains(names, name)) files.emplace_back(name);
  }
}

}  // namespace

Choice choose_files(const ModelName& name, const std::vector<std::string>& names, Part part) {
  const std::vector<GgufModel> models = gguf_models(names);
  if (!name.file.empty()) return choose_gguf(name, models);
  Choice choice;
  append_present(choice.files, kOtherFiles, names);
  append_present(choice.files, hf_config::kTokenizerFiles, names);
  const auto has = [&](std::string_view listed) { return contains(names, listed); };
  if (part == Part::kTokenizer && has_tokenizer(has)) return choice;
  const bool has_config = has("config.json");
  for (const WeightKind& kind : kWeightKinds) {
    if (!has_config || !has(kind.file)) continue;
    if (part == Part::kTokenizer) return choice;
    choice.files.emplace_back(kind.file);
    if (kind.is_index) choice.index = kind.file;
    return choice;
  }
  if (!models.empty()) return choose_gguf(name, models);
  fail(ErrorKind::kInput,
       "hub: model '{}' at revision '{}' holds {}; expected config.json with model.safetensors or "
       "pytorch_model.bin (or their index), or a GGUF file",
       name.id, name.revision,
       has("adapter_config.json") ? "an adapter without its base model"
       : has_config               ? "no weights of a known kind"
                                  : "no config.json");
}

std::vector<std::string> shards_of(const fs::path& index) {
  const nlohmann::json json = io::read_json_object(index);
  const auto map = json.find("weight_map");
  std::set<std::string> shards;
  if (map != json.end() && map->is_object()) {
    for (const auto& [tensor, file] : map->items()) {
      if (file.is_string()) shards.insert(file.get<std::string>());
    }
  }
  for (const std::string& shard : shards) {
    if (is_path_below(shard)) continue;
    fail(ErrorKind::kInput, "hub: {} names the file {}; expected a path below its folder",
         index.string(), shown(shard));
  }
  return {shards.begin(), shards.end()};
}

std::optional<LocalModel> complete_model(const fs::path& snapshot, const ModelName& name,
                                         Part part) {
  if (name.file.empty()) {
    const auto has = [&](std::string_view file) { return is_there(snapshot / file); };
    const bool whole = part == Part::kTokenizer && has_tokenizer(has);
    if (whole || (has("config.json") && has_weights(snapshot))) {
      return LocalModel{snapshot, lacking(snapshot), false};
    }
  }
  const auto fitting = matching(gguf_models(gguf_files_below(snapshot)), name.file);
  if (fitting.size() != 1 || fitting[0].parts.size() != fitting[0].of) return std::nullopt;
  return LocalModel{snapshot / fitting[0].parts.front(), "", name.file.empty()};
}

}  // namespace sgpt_mi::hub

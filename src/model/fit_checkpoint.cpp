#include "sgpt_mi/model/fit_checkpoint.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "layout.h"
#include "sgpt_mi/containers/buffer_names.h"
#include "sgpt_mi/containers/renamed_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/model/random_model.h"

namespace sgpt_mi::model {
namespace {

using containers::Renaming;

/// Parts that wrappers put into names; torch.compile, FSDP, activation checkpointing and PEFT may
/// wrap single modules.
constexpr std::array<std::string_view, 4> kInside{"_orig_mod.", "_fsdp_wrapped_module.",
                                                  "_checkpoint_wrapped_module.", "base_layer."};
/// In front only: DataParallel and DeepSpeed, Fabric, PEFT.
constexpr std::array<std::string_view, 3> kInFront{"module.", "_forward_module.",
                                                   "base_model.model."};
/// Lightning's attribute, which is a family's own prefix as well.
constexpr std::string_view kAttribute = "model.";

/// Names without the parts of wrappers.
class Unwrapping {
 public:
  [[nodiscard]] std::string unwrap(std::string name) {
    for (const std::string_view part : kInside) {
      for (std::size_t at = find_part(name, part); at != std::string::npos;
           at = find_part(name, part)) {
        name.erase(at, part.size());
        found_.emplace(part);
      }
    }
    while (unwrap_front(name)) {
    }
    return name;
  }

  /// The parts found so far.
  [[nodiscard]] const std::set<std::string>& found() const { return found_; }

 private:
  /// Where a part begins, at the start or behind a dot.
  static std::size_t find_part(const std::string& name, std::string_view part) {
    if (name.starts_with(part)) return 0;
    const std::size_t dot = name.find("." + std::string(part));
    return dot == std::string::npos ? dot : dot + 1;
  }

  bool unwrap_front(std::string& name) {
    const bool attribute = name.starts_with("model.model.") || name.starts_with("model.lm_head.");
    for (const std::string_view part : kInFront) {
      if (name.starts_with(part)) return erase_front(name, part);
    }
    return attribute && erase_front(name, kAttribute);
  }

  bool erase_front(std::string& name, std::string_view part) {
    name.erase(0, part.size());
    found_.emplace(part);
    return true;
  }

  std::set<std::string> found_;
};

bool is_lora_name(const std::string& name) {
  return name.starts_with("lora_") || name.find(".lora_") != std::string::npos;
}

HasTensor names_of(const std::vector<Renaming>& renamings) {
  auto names = std::make_shared<std::unordered_set<std::string>>();
  for (const Renaming& renaming : renamings) names->insert(renaming.name);
  return [names](const std::string& name) { return names->contains(name); };
}

/// Some of many names, for a message.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  const std::size_t shown = std::min(names.size(), kShown);
  std::string list;
  for (std::size_t i = 0; i < shown; ++i) list += (i == 0 ? "" : ", ") + printable(names[i]);
  return names.size() > shown ? fmt::format("{} and {} more", list, names.size() - shown) : list;
}

/// What fit_checkpoint() does, step by step.
class Fitting {
 public:
  Fitting(const formats::Checkpoint& checkpoint, const ModelSpec& spec)
      : tensors_(*checkpoint.tensors), spec_(spec), packed_(!checkpoint.packed_matrices.empty()) {
    for (const containers::TensorInfo& info : tensors_.tensors()) {
      if (containers::is_buffer_name(info.name)) continue;
      if (is_lora_name(info.name)) {
        lora_.push_back(info.name);
      } else {
        kept_.push_back({info.name, info.name});
      }
    }
  }

  void unwrap() {
    if (packed_ || !first_missing(spec_, names_of(kept_))) return;
    Unwrapping unwrapping;
    std::vector<Renaming> unwrapped = kept_;
    std::unordered_set<std::string> names;
    bool unique = true;
    for (Renaming& renaming : unwrapped) {
      renaming.name = unwrapping.unwrap(renaming.stored);
      unique = unique && names.insert(renaming.name).second;
    }
    if (unwrapping.found().empty()) return;  // another reason, which Model names
    refuse_adapter(unwrapping.found());
    const std::string parts = fmt::format("'{}'", fmt::join(unwrapping.found(), "', '"));
    const std::optional<std::string> missing = first_missing(spec_, names_of(unwrapped));
    if (missing || !unique) {
      fail(ErrorKind::kInput,
           "model: names of the checkpoint's tensors have {} in them, as wrappers leave them, and "
           "without {}; are all of its files there and is config.json its own?",
           parts,
           missing ? fmt::format("there is no tensor {}", *missing) : "some would be the same");
    }
    kept_ = std::move(unwrapped);
    notes_.push_back(fmt::format(
        "names of the model's tensors have {} in them, as wrappers leave them; read without",
        parts));
  }

  void drop_foreign() {
    std::unordered_set<std::string> needed{std::string(kHead)};
    const auto is_there = [&, has = names_of(kept_)](const std::string& name) {
      needed.insert(name);
      return has(name);
    };
    if (first_missing(spec_, is_there)) return;  // Model names it, and what may stand in its place
    std::vector<std::string> foreign;
    std::vector<std::string> zeros;
    std::erase_if(kept_, [&](const Renaming& tensor) {
      if (needed.contains(tensor.name)) return false;
      const bool own = is_own_name(spec_, tensor.name);
      if (own && !is_zero_bias(tensor)) return false;
      (own ? zeros : foreign).push_back(tensor.name);
      return true;
    });
    note("tensors that are none of this model's are left out: {}", foreign);
    note("biases of zeros that config.json does not know are left out: {}", zeros);
    note(
        "tensors of a LoRA adapter are left out: {}; if it is not merged into the weights yet, "
        "merge it (merge_and_unload() of PEFT) and save again",
        lora_);
  }

  /// Whether the head is another table than the tied embeddings; one that equals them is dropped.
  [[nodiscard]] bool unties_head() {
    const Renaming* head = find(std::string(kHead));
    const Renaming* embedding = find_embedding();
    if (!spec_.tied_head || head == nullptr || embedding == nullptr) return false;
    const containers::TensorData table = tensors_.read(embedding->stored);
    const containers::TensorData own = tensors_.read(head->stored);
    const bool same =
        table.info.dtype == own.info.dtype && table.info.shape == own.info.shape &&
        std::equal(table.bytes.begin(), table.bytes.end(), own.bytes.begin(), own.bytes.end());
    if (same) {
      std::erase_if(kept_, [](const Renaming& tensor) { return tensor.name == kHead; });
      return false;
    }
    notes_.emplace_back(
        "the model stores a lm_head.weight that differs from its embeddings, though config.json "
        "ties them: the stored one is used, as transformers 5 and llama.cpp do");
    return true;
  }

  [[nodiscard]] const std::vector<Renaming>& kept() const { return kept_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  void refuse_adapter(const std::set<std::string>& parts) const {
    if (lora_.empty() || !parts.contains("base_layer.")) return;
    fail(
        ErrorKind::kInput,
        "model: the checkpoint holds a LoRA adapter beside the weights ({}), not merged into them; "
        "expected a merged model; merge it (merge_and_unload() of PEFT) and save again",
        listed(lora_));
  }

  [[nodiscard]] bool is_zero_bias(const Renaming& tensor) const {
    if (!tensor.name.ends_with(".bias")) return false;
    const containers::TensorData data = tensors_.read(tensor.stored);
    return std::all_of(data.bytes.begin(), data.bytes.end(),
                       [](std::byte byte) { return byte == std::byte{0}; });
  }

  [[nodiscard]] const Renaming* find(const std::string& name) const {
    const auto found = std::find_if(kept_.begin(), kept_.end(),
                                    [&](const Renaming& tensor) { return tensor.name == name; });
    return found == kept_.end() ? nullptr : &*found;
  }

  [[nodiscard]] const Renaming* find_embedding() const {
    for (const std::string_view prefix : family_of(spec_).prefixes) {
      const Renaming* found = find(std::string(prefix) + std::string(kEmbedding));
      if (found != nullptr) return found;
    }
    return nullptr;
  }

  void note(fmt::format_string<std::string> sentence, const std::vector<std::string>& names) {
    if (!names.empty()) notes_.push_back(fmt::format(sentence, listed(names)));
  }

  const containers::TensorSource& tensors_;
  const ModelSpec& spec_;
  bool packed_;
  std::vector<Renaming> kept_;
  std::vector<std::string> lora_;
  std::vector<std::string> notes_;
};

}  // namespace

formats::Checkpoint fit_checkpoint(formats::Checkpoint checkpoint) {
  const ModelSpec spec = parse_model_spec(checkpoint.config);
  Fitting fitting(checkpoint, spec);
  fitting.unwrap();
  fitting.drop_foreign();
  if (fitting.unties_head()) checkpoint.config["tie_word_embeddings"] = false;
  checkpoint.notes.insert(checkpoint.notes.end(), fitting.notes().begin(), fitting.notes().end());
  checkpoint.tensors = containers::rename_tensors(std::move(checkpoint.tensors), fitting.kept());
  return checkpoint;
}

formats::Checkpoint open_model(const std::string& model, const ParallelFor& parallel_for) {
  const formats::ModelLocation location = formats::locate_model(model);
  if (location.is_random) return random_checkpoint(model.substr(model.find(':') + 1));
  return fit_checkpoint(formats::open_checkpoint(location, parallel_for));
}

}  // namespace sgpt_mi::model

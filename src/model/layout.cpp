#include "layout.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "sgpt_mi/containers/buffer_names.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::model {

namespace {

std::vector<std::int64_t> shape_of(const std::vector<Dim>& dims, const ModelSpec& spec) {
  std::vector<std::int64_t> shape;
  shape.reserve(dims.size());
  for (const Dim dim : dims) shape.push_back(size_of(dim, spec));
  return shape;
}

std::vector<ExpectedTensor> expected_of_block(const ModelSpec& spec) {
  const Family& family = family_of(spec);
  std::vector<ExpectedTensor> expected;
  for (const LinearRule& rule : family.linears) {
    const std::string name(rule.name);
    expected.push_back({name + ".weight", shape_of({rule.rows, rule.columns}, spec)});
    if (rule.has_bias(spec)) expected.push_back({name + ".bias", shape_of({rule.rows}, spec)});
  }
  for (const TensorRule& rule : family.block_tensors) {
    if (rule.exists(spec)) expected.push_back({std::string(rule.name), shape_of(rule.shape, spec)});
  }
  return expected;
}

/// The first prefix under which block 0 has its first linear. Without any, the usual one: the error
/// about the missing tensor then shows the usual name.
std::string find_prefix(const Family& family, const HasTensor& has) {
  const std::string probe =
      std::string(kBlocks) + "0." + std::string(family.linears.front().name) + ".weight";
  for (const std::string_view prefix : family.prefixes) {
    if (has(std::string(prefix) + probe)) return std::string(prefix);
  }
  return std::string(family.prefixes.front());
}

HasTensor tensor_in(const containers::TensorSource& tensors) {
  return [&tensors](const std::string& name) { return tensors.find(name) != nullptr; };
}

/// ", but PREFIX NAME" when the checkpoint has the name with something in front of it.
std::string other_name(const containers::TensorSource& tensors, const std::string& name) {
  for (const containers::TensorInfo& info : tensors.tensors()) {
    if (info.name.ends_with("." + name)) {
      return fmt::format(", but {}: '{}' in front is not expected", info.name,
                         info.name.substr(0, info.name.size() - name.size()));
    }
  }
  return "";
}

/// Holds the checkpoint against what is expected, tensor by tensor.
class Checker {
 public:
  explicit Checker(const containers::TensorSource& tensors) : tensors_(tensors) {}

  void require(const ExpectedTensor& expected) {
    const containers::TensorInfo* const found = tensors_.find(expected.name);
    if (found == nullptr) {
      fail(ErrorKind::kInput,
           "model: the checkpoint has no tensor {}{}; expected it with shape [{}]; are all of its "
           "files there and is config.json its own?",
           expected.name, other_name(tensors_, expected.name), fmt::join(expected.shape, ", "));
    }
    if (found->shape != expected.shape) {
      fail(ErrorKind::kInput,
           "model: tensor {} has shape [{}]; its configuration makes it [{}]; do they belong "
           "together?",
           expected.name, fmt::join(found->shape, ", "), fmt::join(expected.shape, ", "));
    }
    if (!is_floating(found->dtype)) {
      fail(ErrorKind::kInput, "model: tensor {} has type {}; expected F64, F32, F16 or BF16",
           expected.name, dtype_name(found->dtype));
    }
    known_.insert(expected.name);
  }

  void allow(const ExpectedTensor& expected) {
    if (tensors_.find(expected.name) != nullptr) require(expected);
  }

  void refuse_others() const {
    for (const containers::TensorInfo& info : tensors_.tensors()) {
      if (containers::is_buffer_name(info.name) || known_.contains(info.name)) continue;
      fail(ErrorKind::kInput,
           "model: the checkpoint has a tensor {} with shape [{}]; the model that config.json "
           "describes has none of that name; is config.json its own?",
           info.name, fmt::join(info.shape, ", "));
    }
  }

 private:
  const containers::TensorSource& tensors_;
  std::unordered_set<std::string> known_;
};

/// A name without the prefix that its family may put in front.
std::string_view without_prefix(const Family& family, std::string_view name) {
  for (const std::string_view prefix : family.prefixes) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

/// The name inside a block of "layers.3.NAME"; empty for others.
std::string_view inside_block(std::string_view name) {
  if (!name.starts_with(kBlocks)) return {};
  name.remove_prefix(kBlocks.size());
  const std::size_t digits = name.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || name[digits] != '.') return {};
  return name.substr(digits + 1);
}

/// Whether the name is the stem's weight or bias.
bool is_parameter_of(std::string_view name, std::string_view stem) {
  return name.starts_with(stem) &&
         (name.substr(stem.size()) == ".weight" || name.substr(stem.size()) == ".bias");
}

std::string_view stem_of(std::string_view name) { return name.substr(0, name.rfind('.')); }

}  // namespace

Layout::Layout(const ModelSpec& spec, const containers::TensorSource& tensors) {
  const Family& family = family_of(spec);
  prefix_ = find_prefix(family, tensor_in(tensors));
  embedding_ = end_name(kEmbedding);
  head_ = kHead;
  const std::vector<std::int64_t> table = shape_of({Dim::kVocab, Dim::kWordEmbed}, spec);
  Checker checker(tensors);
  if (spec.tied_head) {
    // One table under either name; where both are stored the embedding is the one that counts.
    if (tensors.find(embedding_) == nullptr && tensors.find(head_) != nullptr) embedding_ = head_;
    checker.allow({head_, table});
    head_ = embedding_;
  }
  checker.require({embedding_, table});
  checker.require({head_, table});
  for (const TensorRule& rule : family.end_tensors) {
    if (rule.exists(spec)) checker.require({end_name(rule.name), shape_of(rule.shape, spec)});
  }
  const std::vector<ExpectedTensor> block = expected_of_block(spec);
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const ExpectedTensor& tensor : block) {
      checker.require({block_prefix(layer) + tensor.name, tensor.shape});
    }
  }
  checker.refuse_others();
}

std::string Layout::block_prefix(std::int64_t layer) const {
  return fmt::format("{}{}{}.", prefix_, kBlocks, layer);
}

std::string Layout::end_name(std::string_view name) const { return prefix_ + std::string(name); }

std::vector<ExpectedTensor> expected_tensors(const ModelSpec& spec) {
  const Family& family = family_of(spec);
  const std::string prefix(family.prefixes.front());
  const std::vector<std::int64_t> table = shape_of({Dim::kVocab, Dim::kWordEmbed}, spec);
  std::vector<ExpectedTensor> all{{prefix + std::string(kEmbedding), table}};
  for (const TensorRule& rule : family.end_tensors) {
    if (rule.exists(spec)) {
      all.push_back({prefix + std::string(rule.name), shape_of(rule.shape, spec)});
    }
  }
  const std::vector<ExpectedTensor> block = expected_of_block(spec);
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const ExpectedTensor& tensor : block) {
      all.push_back({fmt::format("{}{}{}.{}", prefix, kBlocks, layer, tensor.name), tensor.shape});
    }
  }
  if (!spec.tied_head) all.push_back({std::string(kHead), table});
  return all;
}

std::optional<std::string> first_missing(const ModelSpec& spec, const HasTensor& has) {
  const Family& family = family_of(spec);
  const std::string prefix = find_prefix(family, has);
  const std::string embedding = prefix + std::string(kEmbedding);
  const std::string head(kHead);
  if (!has(embedding) && !(spec.tied_head && has(head))) return embedding;
  if (!spec.tied_head && !has(head)) return head;
  for (const TensorRule& rule : family.end_tensors) {
    std::string name = prefix + std::string(rule.name);
    if (rule.exists(spec) && !has(name)) return name;
  }
  const std::vector<std::string> block = block_tensor_names(spec);
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const std::string& tensor : block) {
      std::string name = fmt::format("{}{}{}.{}", prefix, kBlocks, layer, tensor);
      if (!has(name)) return name;
    }
  }
  return std::nullopt;
}

bool is_own_name(const ModelSpec& spec, const std::string& name) {
  const Family& family = family_of(spec);
  if (is_parameter_of(name, stem_of(kHead))) return true;
  const std::string_view inside = without_prefix(family, name);
  const auto is_rule = [](std::string_view part) {
    return [part](const TensorRule& rule) { return is_parameter_of(part, stem_of(rule.name)); };
  };
  if (const std::string_view part = inside_block(inside); !part.empty()) {
    return std::any_of(family.linears.begin(), family.linears.end(),
                       [&](const LinearRule& rule) { return is_parameter_of(part, rule.name); }) ||
           std::any_of(family.block_tensors.begin(), family.block_tensors.end(), is_rule(part));
  }
  return is_parameter_of(inside, stem_of(kEmbedding)) ||
         std::any_of(family.end_tensors.begin(), family.end_tensors.end(), is_rule(inside));
}

std::vector<std::string> block_tensor_names(const ModelSpec& spec) {
  const std::vector<ExpectedTensor> all = expected_of_block(spec);
  std::vector<std::string> names;
  names.reserve(all.size());
  for (const ExpectedTensor& expected : all) names.push_back(expected.name);
  return names;
}

std::vector<LinearInfo> linears_of_block(const ModelSpec& spec, const std::string& block_prefix) {
  const std::vector<LinearRule>& rules = family_of(spec).linears;
  std::vector<LinearInfo> linears;
  linears.reserve(rules.size());
  for (const LinearRule& rule : rules) {
    const std::string name(rule.name);
    linears.push_back({block_prefix + name, name, rule.site, size_of(rule.rows, spec),
                       size_of(rule.columns, spec)});
  }
  return linears;
}

}  // namespace sgpt_mi::model

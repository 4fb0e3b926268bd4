#include "plan_types.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/type_options.h"

namespace sgpt_mi::planning {
namespace {

using blocks::BlockType;

/// The names that llama.cpp gives to the matrices that Hugging Face calls by the second one.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kNames{
    {{"attn_q", "q_proj"},
     {"attn_k", "k_proj"},
     {"attn_v", "v_proj"},
     {"attn_output", "o_proj"},
     {"ffn_gate", "gate_proj"},
     {"ffn_up", "up_proj"},
     {"ffn_down", "down_proj"},
     {"token_embd", "embed_tokens"},
     {"output", "lm_head"}}};

/// Planned besides the types of 256 weights: Q8_0 in both cases.
constexpr std::string_view kLargest = "Q8_0";

/// Of embeddings and heads.
constexpr double kLeastEndBits = 4.0;

bool divides(const BlockType& type, std::int64_t columns) {
  return columns % type.block_elements == 0;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether a part of a name begins after a dot of one of the names; a number is a whole one.
bool fits(const std::string& part, const std::string& names) {
  for (std::size_t at = names.find("." + part); at != std::string::npos;
       at = names.find("." + part, at + 1)) {
    const std::size_t end = at + 1 + part.size();
    const bool cuts_number = end < names.size() && is_digit(names[end]) && is_digit(names[end - 1]);
    if (!cuts_number) return true;
  }
  return false;
}

/// A matrix's names in both programs, each after a dot:
/// ".model.layers.0.self_attn.v_proj .blk.0.attn_v".
std::string names_of(const std::string& name) {
  constexpr std::string_view kLayers = "layers.";
  std::string block;
  if (const std::size_t at = name.find(kLayers); at != std::string::npos) {
    const std::size_t number = at + kLayers.size();
    block = fmt::format("blk.{}.", name.substr(number, name.find('.', number) - number));
  }
  std::string names = "." + name;
  for (const auto& [ggml, hugging_face] : kNames) {
    if (name.ends_with(hugging_face)) names += fmt::format(" .{}{}", block, ggml);
  }
  return names;
}

std::int64_t bits_of(const LinearCurves& linear, const BlockType& type) {
  return linear.weights() / type.block_elements * type.block_bytes * 8;
}

}  // namespace

void TypeOptions::validate() const {
  const auto check = [&](const BlockType* type) {
    if (type == nullptr) return;
    if (type->form == blocks::BlockForm::kPlain) {
      fail(ErrorKind::kUsage, "gguf_type: {} holds no codes; choose a type with blocks, or export",
           type->name);
    }
    if (needs_zero && !type->holds_zero()) {
      fail(ErrorKind::kUsage,
           "gguf_type: the grids of {} hold no exact zero, which pruned weights need; choose Q3_K, "
           "Q4_0, Q5_0, Q6_K or Q8_0, or leave out the sparsity",
           type->name);
    }
  };
  check(standard);
  for (const auto& [name, type] : by_name) check(type);
}

const BlockType* TypeOptions::named(const std::string& name) const {
  const std::string names = names_of(name);
  for (const auto& [part, type] : by_name) {
    if (fits(part, names)) return type;
  }
  return nullptr;
}

void TypeOptions::require_used(std::vector<std::string> matrices) const {
  for (const formats::MatrixShape& end : ends) matrices.push_back(end.name);
  if (ends.size() == 1) matrices.insert(matrices.end(), {"embed_tokens", "lm_head"});
  for (const auto& [part, type] : by_name) {
    const bool used = std::any_of(
        matrices.begin(), matrices.end(),
        [&, &wanted = part](const std::string& name) { return fits(wanted, names_of(name)); });
    if (used) continue;
    fail(ErrorKind::kUsage,
         "gguf_types: no matrix that gets a type is called '{}'; names are attn_v, ffn_down, "
         "token_embd, output, blk.0.attn_v, or those of the checkpoint, as {}",
         part, matrices.front());
  }
}

const BlockType* TypeOptions::fixed(const std::string& name, std::int64_t columns) const {
  const BlockType* wanted = named(name);
  if (wanted == nullptr) wanted = standard;
  if (wanted == nullptr || divides(*wanted, columns)) return wanted;
  const BlockType* next = nullptr;
  for (const BlockType* type : menu(columns)) {
    if (type->bits() < wanted->bits() || (next != nullptr && type->bits() > next->bits())) continue;
    next = type;  // of those of equal size the last, whose grid is finer
  }
  if (next != nullptr) return next;
  fail(ErrorKind::kUsage,
       "gguf: {} has rows of {}, which no block of {} bits or more divides; use --format packed or "
       "gptq",
       name, columns, wanted->bits());
}

const BlockType* TypeOptions::fixed_end(const formats::MatrixShape& matrix) const {
  // A table that serves as both goes by both names.
  for (const std::string& name : ends.size() == 1
                                     ? std::vector<std::string>{"embed_tokens", "lm_head"}
                                     : std::vector<std::string>{matrix.name}) {
    if (named(name) != nullptr) return fixed(name, matrix.columns);
  }
  if (budget_bits) return nullptr;
  const BlockType* usual = blocks::find_block_type("Q6_K");
  return divides(*usual, matrix.columns) ? usual : blocks::find_block_type(kLargest);
}

std::vector<const BlockType*> TypeOptions::menu(std::int64_t columns) const {
  std::vector<const BlockType*> types;
  const bool super = columns % 256 == 0;
  for (const BlockType& type : blocks::block_types()) {
    if (type.form == blocks::BlockForm::kPlain || !divides(type, columns)) continue;
    if (super && type.block_elements != 256 && type.name != kLargest) continue;
    if (needs_zero && !type.holds_zero()) continue;
    types.push_back(&type);
  }
  return types;
}

bool TypeOptions::is_end(const std::string& name) const {
  return std::any_of(ends.begin(), ends.end(),
                     [&](const formats::MatrixShape& end) { return end.name == name; });
}

std::vector<const BlockType*> TypeOptions::end_menu(std::int64_t columns) const {
  std::vector<const BlockType*> types = menu(columns);
  std::erase_if(types, [](const BlockType* type) { return type->bits() < kLeastEndBits; });
  return types;
}

const BlockType* smallest_type(const TypeOptions& types, const formats::MatrixShape& matrix) {
  const std::vector<const BlockType*> menu =
      types.is_end(matrix.name) ? types.end_menu(matrix.columns) : types.menu(matrix.columns);
  if (!menu.empty()) return menu.front();
  fail(ErrorKind::kUsage, "gguf: {} has rows of {}, which no block divides; use --format packed",
       matrix.name, matrix.columns);
}

void require_types(const Measurements& linears, const TypeOptions& types,
                   std::optional<double> stored_bits) {
  std::int64_t least = 0;
  for (const LinearCurves& linear : linears.linears) {
    const BlockType* type = types.fixed(linear.name, linear.columns);
    if (type == nullptr) type = smallest_type(types, {linear.name, linear.rows, linear.columns});
    least += bits_of(linear, *type);
  }
  const double smallest = static_cast<double>(least) / static_cast<double>(all_weights(linears));
  if (!stored_bits || *stored_bits >= smallest) return;
  fail(ErrorKind::kUsage,
       "alloc: the target leaves {:.4f} stored bits a weight of the linears; the smallest types "
       "take {:.4f}; ask for that or more",
       *stored_bits, smallest);
}

namespace {

/// The measured types of every matrix as menus.
Menus<const BlockType*> type_menus(const Measurements& measurements) {
  Menus<const BlockType*> menus;
  for (const LinearCurves& linear : measurements.linears) {
    std::vector<alloc::CurvePoint> points;
    std::vector<const BlockType*> types;
    for (const TypePoint& point : linear.types) {
      types.push_back(blocks::find_block_type(std::string_view(point.type)));
      points.push_back({bits_of(linear, *types.back()), point.damage});
    }
    menus.add(points, types);
  }
  return menus;
}

/// What damages least, even if a few bytes remain.
alloc::Allocation allocate_types(const Menus<const BlockType*>& menus, std::int64_t budget) {
  alloc::AllocateOptions effort;
  effort.close = false;
  return alloc::allocate(menus.curves, budget, effort);
}

}  // namespace

std::vector<TypedSize> typed_sizes(const Measurements& measurements) {
  constexpr int kSteps = 30;
  const Menus<const BlockType*> menus = type_menus(measurements);
  const alloc::CostRange range = menus.curves.range();
  const double growth =
      std::log(static_cast<double>(range.most) / static_cast<double>(range.least));
  std::vector<TypedSize> sizes;
  for (int step = 0; step <= kSteps; ++step) {
    const double budget = static_cast<double>(range.least) * std::exp(growth * step / kSteps);
    const alloc::Allocation allocation =
        allocate_types(menus, std::max(range.least, static_cast<std::int64_t>(budget)));
    if (!sizes.empty() && sizes.back().bits == allocation.cost) continue;
    sizes.push_back({allocation.cost, allocation.loss});
  }
  return sizes;
}

RdPlan plan_types(const Measurements& measurements, const PlanGoal& goal,
                  std::optional<double> stored_bits) {
  const Menus<const BlockType*> menus = type_menus(measurements);
  std::int64_t budget = menus.curves.range().most;
  if (goal.types->budget_bits) {
    budget = *goal.types->budget_bits;
  } else if (stored_bits) {
    budget = alloc::budget_bits_of(*stored_bits, all_weights(measurements));
  }
  const alloc::Allocation allocation = allocate_types(menus, budget);
  RdPlan plan{"planned types", {}, allocation.loss};
  for (std::size_t i = 0; i < measurements.linears.size(); ++i) {
    LinearChoice choice;
    choice.sparsity = goal.matrix.prune_m == 0 ? goal.matrix.sparsity
                                               : static_cast<double>(goal.matrix.prune_n) /
                                                     static_cast<double>(goal.matrix.prune_m);
    choice.block_type = menus.chosen(allocation, i);
    const LinearCurves& linear = measurements.linears[i];
    choice.damage_weight = linear.row_weight;
    for (const TypePoint& point : linear.types) {
      if (point.type == choice.block_type->name) choice.damage = point.damage;
    }
    const bool measured = !linear.pruning.empty();  // nothing is, of types that are fixed
    if (choice.sparsity > 0.0 && measured) choice.damage += linear.prune_damage(choice.sparsity);
    plan.linears.emplace(linear.name, std::move(choice));
  }
  return plan;
}

std::vector<formats::MatrixShape> end_matrices(const formats::Checkpoint& checkpoint,
                                               const model::ModelSpec& spec) {
  constexpr std::string_view kEnding = ".weight";
  std::vector<formats::MatrixShape> ends;
  for (const std::string_view name : {"embed_tokens.weight", "lm_head.weight"}) {
    if (!ends.empty() && spec.tied_head) break;
    for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
      if (!info.name.ends_with(name)) continue;
      ends.push_back({info.name.substr(0, info.name.size() - kEnding.size()), info.shape.at(0),
                      info.shape.at(1)});
    }
  }
  return ends;
}

}  // namespace sgpt_mi::planning

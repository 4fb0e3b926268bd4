#include "site_journal.h"

#include <spdlog/fmt/fmt.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/compress/picture_record.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::compress {
namespace {

using nlohmann::json;

std::string key_of(std::int64_t layer, model::Site site) {
  return fmt::format("block-{}.site-{}", layer, static_cast<int>(site));
}

/// Calls visit(name, tensor) for every tensor that stored matrices, values and tuning read.
template <typename Visit>
void visit_tensors(obs::CompressedMatrix& matrix, const Visit& visit) {
  visit("weight", matrix.weight);
  visit("pruned", matrix.pruned);
  visit("codes", matrix.codes);
  visit("scale", matrix.scale);
  visit("zero_point", matrix.zero_point);
  visit("group_of_column", matrix.group_of_column);
  visit("offset", matrix.offset);
  visit("levels", matrix.levels);
  if (matrix.blocks) {
    visit("super_scale", matrix.blocks->super_scale);
    visit("super_minimum", matrix.blocks->super_minimum);
    visit("sub_scale", matrix.blocks->sub_scale);
    visit("sub_minimum", matrix.blocks->sub_minimum);
  }
  if (matrix.level_grid) {
    visit("row_step", matrix.level_grid->row_step);
    visit("column_step", matrix.level_grid->column_step);
  }
}

json scalars_of(const obs::CompressedMatrix& matrix) {
  json scalars{{"bits_of_group", matrix.bits_of_group}};
  if (matrix.scale_exponent) scalars["scale_exponent"] = *matrix.scale_exponent;
  if (matrix.blocks) scalars["block_type"] = matrix.blocks->type->name;
  if (matrix.level_grid) {
    scalars["row_exponent"] = matrix.level_grid->row_exponent;
    scalars["column_exponent"] = matrix.level_grid->column_exponent;
  }
  return scalars;
}

void set_scalars(obs::CompressedMatrix& matrix, const json& scalars) {
  scalars.at("bits_of_group").get_to(matrix.bits_of_group);
  if (scalars.contains("scale_exponent")) matrix.scale_exponent = scalars["scale_exponent"];
  if (scalars.contains("block_type")) {
    matrix.blocks.emplace();
    matrix.blocks->type = blocks::find_block_type(scalars["block_type"].get<std::string>());
    ensure(matrix.blocks->type != nullptr, "compress: a journal of a block type that is not known");
  }
  if (!scalars.contains("row_exponent")) return;
  matrix.level_grid.emplace();
  scalars["row_exponent"].get_to(matrix.level_grid->row_exponent);
  scalars["column_exponent"].get_to(matrix.level_grid->column_exponent);
}

SiteRecord read_record(const json& value, const containers::TensorSource* file) {
  const auto tensor = [&](const std::string& name) {
    const bool there = file != nullptr && file->find(name) != nullptr;
    return there ? model::to_torch(file->read(name)) : torch::Tensor();
  };
  SiteRecord record;
  for (const json& linear : value.at("linears")) {
    RecordedLinear& read = record.linears.emplace_back();
    linear.at("name").get_to(read.name);
    linear.at("level_bits").get_to(read.level_bits);
    read.layer = report::layer_from_json(linear.at("layer"), "the journal");
    set_scalars(read.matrix, linear.at("matrix"));
    visit_tensors(read.matrix, [&](const char* part, torch::Tensor& kept) {
      kept = tensor(read.name + "/" + part);
    });
  }
  for (const json& name : value.at("tensors")) record.tensors.emplace_back(name, tensor(name));
  record.pictures = recall_pictures(value.at("pictures"), file);
  return record;
}

}  // namespace

bool SiteJournal::knows(std::int64_t layer, model::Site site) {
  if (journal_ == nullptr) return false;
  if (known_.contains({layer, site})) return true;
  const std::string key = key_of(layer, site);
  const std::optional<json> value = journal_->find(key);
  if (!value) return false;
  const std::unique_ptr<containers::TensorSource> file = journal_->tensors(key);
  if (file == nullptr) return false;
  known_.emplace(Key{layer, site}, read_record(*value, file.get()));
  return true;
}

std::optional<SiteRecord> SiteJournal::take(std::int64_t layer, model::Site site) {
  const auto found = known_.find({layer, site});
  if (found == known_.end()) return std::nullopt;
  std::optional<SiteRecord> record = std::move(found->second);
  known_.erase(found);
  return record;
}

void SiteJournal::keep(std::int64_t layer, model::Site site, const SiteRecord& record) {
  if (journal_ == nullptr) return;
  std::vector<containers::TensorData> tensors;
  json value{{"linears", json::array()}, {"tensors", json::array()}};
  for (const RecordedLinear& linear : record.linears) {
    obs::CompressedMatrix matrix = linear.matrix;
    visit_tensors(matrix, [&](const char* part, const torch::Tensor& tensor) {
      if (!tensor.defined()) return;
      tensors.push_back(model::to_tensor_data(linear.name + "/" + part, tensor));
    });
    value["linears"].push_back({{"name", linear.name},
                                {"layer", report::to_json(linear.layer)},
                                {"level_bits", linear.level_bits},
                                {"matrix", scalars_of(matrix)}});
  }
  for (const auto& [name, tensor] : record.tensors) {
    tensors.push_back(model::to_tensor_data(name, tensor));
    value["tensors"].push_back(name);
  }
  value["pictures"] = record_pictures(record.pictures, tensors);
  journal_->keep_step(key_of(layer, site), std::move(value), tensors);
}

}  // namespace sgpt_mi::compress

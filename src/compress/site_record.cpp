#include "site_record.h"

#include <utility>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::compress {
namespace {

using nlohmann::json;

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

}  // namespace

PackedRecord pack(const SiteRecord& record) {
  PackedRecord packed{{{"linears", json::array()}, {"tensors", json::array()}}, {}};
  for (const RecordedLinear& linear : record.linears) {
    obs::CompressedMatrix matrix = linear.matrix;
    visit_tensors(matrix, [&](const char* part, const torch::Tensor& tensor) {
      if (!tensor.defined()) return;
      packed.tensors.push_back(model::to_tensor_data(linear.name + "/" + part, tensor));
    });
    packed.value["linears"].push_back({{"name", linear.name},
                                       {"layer", report::to_json(linear.layer)},
                                       {"level_bits", linear.level_bits},
                                       {"matrix", scalars_of(matrix)}});
  }
  for (const auto& [name, tensor] : record.tensors) {
    packed.tensors.push_back(model::to_tensor_data(name, tensor));
    packed.value["tensors"].push_back(name);
  }
  packed.value["pictures"] = record_pictures(record.pictures, packed.tensors);
  packed.value["warnings"] = record.warnings;
  return packed;
}

SiteRecord unpack(const json& value, const TensorLookup& tensors) {
  SiteRecord record;
  for (const json& linear : value.at("linears")) {
    RecordedLinear& read = record.linears.emplace_back();
    linear.at("name").get_to(read.name);
    linear.at("level_bits").get_to(read.level_bits);
    read.layer = report::layer_from_json(linear.at("layer"), "the journal");
    set_scalars(read.matrix, linear.at("matrix"));
    visit_tensors(read.matrix, [&](const char* part, torch::Tensor& kept) {
      kept = tensors(read.name + "/" + part);
    });
  }
  for (const json& name : value.at("tensors")) record.tensors.emplace_back(name, tensors(name));
  record.pictures = recall_pictures(value.at("pictures"), tensors);
  value.at("warnings").get_to(record.warnings);
  return record;
}

}  // namespace sgpt_mi::compress

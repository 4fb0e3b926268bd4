#include <spdlog/fmt/fmt.h>

#include <string>

#include "figures_json.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {
namespace {

using Json = nlohmann::ordered_json;

Json damping_json(const std::vector<DampingReport>& damping_steps) {
  Json steps = Json::array();
  for (const DampingReport& step : damping_steps) {
    steps.push_back({{"percdamp", step.percdamp},
                     {"float64", step.float64},
                     {"succeeded", step.succeeded},
                     {"residual", step.residual}});
  }
  return steps;
}

Json groups_json(const std::vector<GroupReport>& groups) {
  Json json = Json::array();
  for (const GroupReport& group : groups) {
    json.push_back({{"channels", group.channels},
                    {"bits", group.bits},
                    {"mean_nmi", optional_json(group.mean_nmi)},
                    {"importance", optional_json(group.importance)}});
  }
  return json;
}

Json widths_json(const std::map<int, std::int64_t>& channels_by_bits) {
  Json json = Json::object();
  for (const auto& [bits, channels] : channels_by_bits) json[std::to_string(bits)] = channels;
  return json;
}

}  // namespace

Json to_json(const LayerReport& layer) {
  Json json{{"name", layer.name},
            {"rows", layer.rows},
            {"columns", layer.columns},
            {"sparsity", layer.sparsity},
            {"average_bits", layer.average_bits},
            {"stored_bits", layer.stored_bits},
            {"loss", layer.loss},
            {"output_error", layer.output_error},
            {"damping", layer.damping},
            {"retries", static_cast<std::int64_t>(layer.damping_steps.size()) - 1},
            {"damping_steps", damping_json(layer.damping_steps)},
            {"dead_channels", layer.dead_channels},
            {"constant_channels", layer.constant_channels},
            {"calibration_tokens", layer.calibration_tokens},
            {"rank_deficient", layer.rank_deficient},
            {"condition", optional_json(layer.condition)},
            {"massive_channels", layer.massive_channels},
            {"activation_max", layer.activation_max},
            {"stream_gap", optional_json(layer.stream_gap)},
            {"planned_damage", optional_json(layer.planned_damage)},
            {"reached_damage", optional_json(layer.reached_damage)},
            {"groups", groups_json(layer.groups)},
            {"silhouette", optional_json(layer.silhouette)},
            {"channels_by_bits", widths_json(layer.channels_by_bits)},
            {"importance_min", optional_json(layer.importance_min)},
            {"importance_max", optional_json(layer.importance_max)},
            {"seconds", layer.seconds}};
  if (!layer.type.empty()) json["type"] = layer.type;
  if (layer.coded) json["coded"] = true;
  if (layer.step) json["step"] = *layer.step;
  if (layer.drift) json["drift"] = *layer.drift;
  return json;
}

namespace {

template <typename T>
void read_optional(const Json& json, const char* key, std::optional<T>& value) {
  const auto found = json.find(key);
  if (found != json.end() && !found->is_null()) value = found->get<T>();
}

std::vector<DampingReport> read_damping(const Json& json) {
  std::vector<DampingReport> steps;
  for (const Json& step : json) {
    steps.push_back(
        {step.at("percdamp"), step.at("float64"), step.at("succeeded"), step.at("residual")});
  }
  return steps;
}

std::vector<GroupReport> read_groups(const Json& json) {
  std::vector<GroupReport> groups;
  for (const Json& group : json) {
    GroupReport read{group.at("channels"), group.at("bits")};
    read_optional(group, "mean_nmi", read.mean_nmi);
    read_optional(group, "importance", read.importance);
    groups.push_back(read);
  }
  return groups;
}

LayerReport read_layer(const Json& json) {
  LayerReport layer;
  json.at("name").get_to(layer.name);
  json.at("rows").get_to(layer.rows);
  json.at("columns").get_to(layer.columns);
  layer.type = json.value("type", std::string());
  json.at("sparsity").get_to(layer.sparsity);
  json.at("average_bits").get_to(layer.average_bits);
  json.at("stored_bits").get_to(layer.stored_bits);
  layer.coded = json.value("coded", false);
  read_optional(json, "step", layer.step);
  json.at("loss").get_to(layer.loss);
  json.at("output_error").get_to(layer.output_error);
  json.at("damping").get_to(layer.damping);
  read_optional(json, "drift", layer.drift);
  layer.damping_steps = read_damping(json.at("damping_steps"));
  json.at("dead_channels").get_to(layer.dead_channels);
  json.at("constant_channels").get_to(layer.constant_channels);
  json.at("calibration_tokens").get_to(layer.calibration_tokens);
  json.at("rank_deficient").get_to(layer.rank_deficient);
  read_optional(json, "condition", layer.condition);
  json.at("massive_channels").get_to(layer.massive_channels);
  json.at("activation_max").get_to(layer.activation_max);
  read_optional(json, "stream_gap", layer.stream_gap);
  read_optional(json, "planned_damage", layer.planned_damage);
  read_optional(json, "reached_damage", layer.reached_damage);
  json.at("seconds").get_to(layer.seconds);
  layer.groups = read_groups(json.at("groups"));
  read_optional(json, "silhouette", layer.silhouette);
  for (const auto& [bits, channels] : json.at("channels_by_bits").items()) {
    layer.channels_by_bits[std::stoi(bits)] = channels;
  }
  read_optional(json, "importance_min", layer.importance_min);
  read_optional(json, "importance_max", layer.importance_max);
  return layer;
}

}  // namespace

LayerReport layer_from_json(const Json& json, const std::string& where) {
  try {
    return read_layer(json);
  } catch (const Json::exception& error) {
    fail(ErrorKind::kInput, "report: {} holds no linear's figures: {}", where, error.what());
  } catch (const std::logic_error&) {
    fail(ErrorKind::kInput, "report: {} holds a width that is no number", where);
  }
}

}  // namespace sgpt_mi::report

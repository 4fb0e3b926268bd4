#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "code_lines.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"

namespace sgpt_mi::integer_layouts {
namespace {

constexpr const char* kPackQuantized = "pack-quantized";

using Scheme = std::tuple<int, std::int64_t, bool>;  // bits, group size, symmetric

nlohmann::ordered_json weights_of(const Scheme& scheme) {
  const auto& [bits, group_size, symmetric] = scheme;
  nlohmann::ordered_json weights{{"num_bits", bits}, {"type", "int"}, {"symmetric", symmetric}};
  weights["strategy"] = group_size == 0 ? "channel" : "group";
  weights["group_size"] = nullptr;
  if (group_size != 0) weights["group_size"] = group_size;
  weights["dynamic"] = false;
  return weights;
}

/// The width of one entry of config_groups.
int read_group(const std::string& key, const nlohmann::json& group, const std::string& source) {
  const auto format = group.find("format");
  if (format != group.end() && !format->is_null() && *format != kPackQuantized) {
    refuse(source, "{} has format {}; pack-quantized is read", key, format->dump());
  }
  const auto activations = group.find("input_activations");
  if (activations != group.end() && !activations->is_null()) {
    refuse(source, "{} quantizes activations, which is not supported; weights alone are read", key);
  }
  const auto weights = group.find("weights");
  if (weights == group.end() || !weights->is_object()) refuse(source, "{} has no weights", key);
  const auto type = weights->find("type");
  if (type != weights->end() && *type != "int") {
    refuse(source, "{} has weights of type {}; int is read", key, type->dump());
  }
  const auto bits = weights->find("num_bits");
  const auto& known = kCompressedTensorsWidths;
  if (bits == weights->end() || !bits->is_number_integer() ||
      std::find(known.begin(), known.end(), bits->get<std::int64_t>()) == known.end()) {
    refuse(
        source,
        "{} has num_bits {}; 2, 4 and 8 are read (3 bits have two layouts, and the file does not "
        "say which)",
        key, bits == weights->end() ? "missing" : bits->dump());
  }
  return bits->get<int>();
}

}  // namespace

nlohmann::ordered_json compressed_tensors_config(const std::vector<CompressedModule>& modules,
                                                 const std::vector<std::string>& dense) {
  ensure(!modules.empty(), "integer_layouts: a compressed model without a quantized module");
  std::map<Scheme, std::vector<std::string>> schemes;
  for (const CompressedModule& module : modules) {
    schemes[{module.bits, module.group_size, module.symmetric}].push_back(module.name);
  }
  nlohmann::ordered_json groups = nlohmann::ordered_json::object();
  for (const auto& [scheme, names] : schemes) {
    const std::vector<std::string> targets =
        schemes.size() == 1 ? std::vector<std::string>{"Linear"} : names;
    groups[fmt::format("group_{}", groups.size())] = {
        {"targets", targets}, {"format", kPackQuantized}, {"weights", weights_of(scheme)}};
  }
  std::vector<std::string> ignored{"lm_head"};
  for (const std::string& name : dense) {
    if (name != ignored.front()) ignored.push_back(name);
  }
  return {{"quant_method", "compressed-tensors"},
          {"format", kPackQuantized},
          {"quantization_status", "compressed"},
          {"ignore", ignored},
          {"config_groups", std::move(groups)}};
}

CompressedTensorsReader::CompressedTensorsReader(const nlohmann::json& config,
                                                 const std::string& source) {
  const auto format = config.find("format");
  if (format == config.end() || (*format != kPackQuantized && *format != "mixed-precision")) {
    refuse(source, "quantization_config has format {}; pack-quantized is read",
           format == config.end() ? "missing" : format->dump());
  }
  const auto groups = config.find("config_groups");
  if (groups == config.end() || !groups->is_object() || groups->empty()) {
    refuse(source, "quantization_config has no \"config_groups\"");
  }
  std::set<int> found;
  for (const auto& [key, group] : groups->items()) {
    if (!group.is_object()) refuse(source, "{} is no object", key);
    found.insert(read_group(key, group, source));
  }
  widths.assign(found.begin(), found.end());
}

}  // namespace sgpt_mi::integer_layouts

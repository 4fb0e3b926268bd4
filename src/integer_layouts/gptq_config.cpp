#include <algorithm>
#include <map>
#include <utility>

#include "code_lines.h"
#include "sgpt_mi/integer_layouts/gptq.h"

namespace sgpt_mi::integer_layouts {
namespace {

/// What gptqmodel lets a rule change of a module.
using Rule = std::pair<int, std::int64_t>;  // bits, group size

/// A pattern of Python's `re` that matches one module's full name.
std::string pattern_of(const std::string& name) {
  std::string pattern = "^";
  for (const char letter : name) {
    if (letter == '.') pattern += '\\';
    pattern += letter;
  }
  return pattern + "$";
}

/// A group size that all modules of one width can be declared with; empty: none.
std::optional<std::int64_t> common_size(const std::vector<GptqModule>& modules) {
  std::vector<std::int64_t> sizes{-1};
  sizes.insert(sizes.end(), kGptqGroupSizes.rbegin(), kGptqGroupSizes.rend());
  for (const std::int64_t size : sizes) {
    if (std::all_of(modules.begin(), modules.end(), [&](const GptqModule& module) {
          return gptq_groups(module.columns, size) == module.groups;
        })) {
      return size;
    }
  }
  return std::nullopt;
}

std::int64_t own_size(const GptqModule& module) {
  return gptq_group_size(module.columns, module.groups).value();
}

/// The scheme of most modules, the narrower one when equal.
Rule most_common(const std::vector<GptqModule>& modules) {
  std::map<Rule, int> count;
  for (const GptqModule& module : modules) ++count[{module.bits, own_size(module)}];
  return std::max_element(count.begin(), count.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

int read_bits(const nlohmann::json& config, const std::string& source) {
  const auto bits = config.find("bits");
  if (bits == config.end() || !bits->is_number_integer() ||
      std::find(kGptqWidths.begin(), kGptqWidths.end(), bits->get<std::int64_t>()) ==
          kGptqWidths.end()) {
    refuse(source, "quantization_config has \"bits\": {}; 2, 3, 4 or 8 was expected",
           bits == config.end() ? "nothing" : bits->dump());
  }
  return bits->get<int>();
}

}  // namespace

nlohmann::ordered_json gptq_config(const std::vector<GptqModule>& modules,
                                   const std::vector<std::string>& dense, GptqVersion version) {
  ensure(!modules.empty(), "integer_layouts: a GPTQ model without a quantized module");
  Rule most = most_common(modules);
  const bool one_width = std::all_of(modules.begin(), modules.end(), [&](const GptqModule& module) {
    return module.bits == most.first;
  });
  if (one_width) most.second = common_size(modules).value_or(most.second);
  nlohmann::ordered_json dynamic = nlohmann::ordered_json::object();
  for (const GptqModule& module : modules) {
    if (module.bits == most.first && gptq_groups(module.columns, most.second) == module.groups) {
      continue;
    }
    dynamic["+:" + pattern_of(module.name)] = {{"bits", module.bits},
                                               {"group_size", own_size(module)}};
  }
  for (const std::string& name : dense) {
    dynamic["-:" + pattern_of(name)] = nlohmann::ordered_json::object();
  }
  const auto all = [&](bool GptqModule::*member) {
    return std::all_of(modules.begin(), modules.end(),
                       [&](const GptqModule& module) { return module.*member; });
  };
  const bool reorders = std::any_of(modules.begin(), modules.end(),
                                    [](const GptqModule& module) { return module.reorders; });
  nlohmann::ordered_json config{
      {"quant_method", "gptq"},
      {"bits", most.first},
      {"group_size", most.second},
      {"sym", all(&GptqModule::symmetric)},
      {"desc_act", reorders},
      {"checkpoint_format", version == GptqVersion::kV1 ? "gptq" : "gptq_v2"},
      {"lm_head", false}};
  if (!dynamic.empty()) config["dynamic"] = std::move(dynamic);
  return config;
}

GptqReader::GptqReader(const nlohmann::json& config, const std::string& source) {
  bits = read_bits(config, source);
  if (const auto size = config.find("group_size"); size != config.end()) {
    const bool known = size->is_number_integer() && (*size == -1 || *size >= 1) && *size <= 1 << 30;
    if (!known) {
      refuse(source, "quantization_config has group_size {}; -1 or a positive number was expected",
             size->dump());
    }
    group_size = size->get<std::int64_t>();
  }
  const auto rules = config.find("dynamic");
  has_rules = rules != config.end() && !rules->is_null() && !rules->empty();
  std::string format = "gptq";
  for (const char* key : {"format", "checkpoint_format"}) {
    const auto found = config.find(key);
    if (found != config.end() && found->is_string()) format = found->get<std::string>();
  }
  if (format != "gptq" && format != "gptq_v2") {
    refuse(source, "quantization_config has checkpoint_format '{}'; gptq and gptq_v2 are read",
           format);
  }
  version = format == "gptq" ? GptqVersion::kV1 : GptqVersion::kV2;
  const auto marlin = config.find("is_marlin_format");
  if (marlin != config.end() && *marlin == true) {
    refuse(source, "the weights are in Marlin's order; gptq and gptq_v2 are read");
  }
}

}  // namespace sgpt_mi::integer_layouts

#include "figures_json.h"

namespace sgpt_mi::report {
namespace {

using Json = nlohmann::ordered_json;

std::optional<double> optional_number(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

Json to_json(const PerplexityFigures& figures) {
  Json json{{"ppl", figures.ppl},
            {"nll_mean", figures.nll_mean},
            {"stderr", figures.nll_stderr},
            {"ppl_stderr", figures.ppl_stderr},
            {"window_nll", figures.window_nll}};
  if (figures.kl_mean) json["kl_mean"] = *figures.kl_mean;
  if (figures.kl_stderr) json["kl_stderr"] = *figures.kl_stderr;
  if (figures.top1_agreement) json["top1_agreement"] = *figures.top1_agreement;
  if (!figures.window_kl.empty()) json["window_kl"] = figures.window_kl;
  return json;
}

PerplexityFigures figures_from_json(const Json& json) {
  PerplexityFigures figures;
  json.at("ppl").get_to(figures.ppl);
  json.at("nll_mean").get_to(figures.nll_mean);
  json.at("stderr").get_to(figures.nll_stderr);
  json.at("ppl_stderr").get_to(figures.ppl_stderr);
  json.at("window_nll").get_to(figures.window_nll);
  figures.kl_mean = optional_number(json, "kl_mean");
  figures.kl_stderr = optional_number(json, "kl_stderr");
  figures.top1_agreement = optional_number(json, "top1_agreement");
  if (json.contains("window_kl")) json.at("window_kl").get_to(figures.window_kl);
  return figures;
}

namespace {

Json set_json(const PerplexityReport& set) {
  Json json{{"protocol", set.protocol},
            {"tokens", set.tokens},
            {"windows", set.windows},
            {"seqlen", set.seqlen},
            {"dtype", set.dtype},
            {"text_sha256", set.text_sha256},
            {"token_sha256", set.token_sha256}};
  if (set.dense) json["dense"] = to_json(*set.dense);
  if (set.compressed) json["compressed"] = to_json(*set.compressed);
  return json;
}

PerplexityReport set_from_json(const std::string& name, const Json& json) {
  PerplexityReport set;
  set.set = name;
  json.at("protocol").get_to(set.protocol);
  json.at("tokens").get_to(set.tokens);
  json.at("windows").get_to(set.windows);
  json.at("seqlen").get_to(set.seqlen);
  json.at("dtype").get_to(set.dtype);
  json.at("text_sha256").get_to(set.text_sha256);
  json.at("token_sha256").get_to(set.token_sha256);
  if (json.contains("dense")) set.dense = figures_from_json(json.at("dense"));
  if (json.contains("compressed")) set.compressed = figures_from_json(json.at("compressed"));
  return set;
}

}  // namespace

Json optional_json(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json perplexity_json(const std::vector<PerplexityReport>& sets) {
  Json json = Json::object();
  for (const PerplexityReport& set : sets) json[set.set] = set_json(set);
  return json;
}

std::vector<PerplexityReport> perplexity_from_json(const Json& json) {
  std::vector<PerplexityReport> sets;
  for (const auto& [name, set] : json.items()) sets.push_back(set_from_json(name, set));
  return sets;
}

}  // namespace sgpt_mi::report

#include "sgpt_mi/recorder/oddities.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "limits.h"
#include "svg.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerReport;

/// Score from which a figure is worth a word.
constexpr double kLeastScore = 0.4;
/// Of what breaks a model, whatever the others are.
constexpr double kSevere = 20.0;
/// Of a linear's figures beside its oddest one.
constexpr double kShareOfOthers = 0.25;
/// Fewer linears of a kind than that have no median of their own.
constexpr std::size_t kLeastOfAKind = 4;

enum class Topic { kError, kDamage, kFactor, kRange, kDrift, kSize, kTime, kChannels, kTokens };

/// What is odd about a linear.
struct Sign {
  Topic topic;
  double score = 0.0;
  std::string text;
  std::string advice;  ///< what may help; empty: nothing to say
};

using Value = std::function<std::optional<double>(const LayerReport&)>;

/// The usual value of a figure, by kind of linear.
class Medians {
 public:
  Medians(const std::vector<LayerReport>& layers, const std::vector<report::LayerPlace>& places,
          const Value& value) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::optional<double> of_layer = value(layers[i]);
      if (!of_layer || !std::isfinite(*of_layer)) continue;
      values_[places[i].kind].push_back(*of_layer);
      all_.push_back(*of_layer);
    }
    for (auto& [kind, values] : values_) sort(values);
    sort(all_);
  }

  [[nodiscard]] double of(const std::string& kind) const {
    return middle(has(kind) ? values_.at(kind) : all_);
  }
  [[nodiscard]] std::string name(const std::string& kind) const {
    return "the median of all " + (has(kind) ? kind : std::string("linears"));
  }

 private:
  static void sort(std::vector<double>& values) { std::sort(values.begin(), values.end()); }
  static double middle(const std::vector<double>& values) {
    return values.empty() ? 0.0 : values[(values.size() - 1) / 2];
  }
  [[nodiscard]] bool has(const std::string& kind) const {
    const auto found = values_.find(kind);
    return found != values_.end() && found->second.size() >= kLeastOfAKind;
  }

  std::map<std::string, std::vector<double>> values_;  ///< ascending
  std::vector<double> all_;
};

/// A figure that is compared with its median.
struct Measure {
  Topic topic;
  Value value;
  double weight = 1.0;  ///< of a doubling
  bool both_ways = false;
  std::string text;  ///< "its output error is {}"
  std::string advice;
};

std::optional<double> positive(std::optional<double> value) {
  return value && *value > 0.0 ? value : std::nullopt;
}

std::optional<double> damage_ratio(const LayerReport& layer) {
  if (!layer.planned_damage || !layer.reached_damage) return std::nullopt;
  return positive(*layer.reached_damage / *layer.planned_damage);
}

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all{
      {Topic::kError, [](const LayerReport& layer) { return positive(layer.output_error); }, 1.0,
       false, "its output error is {}", ""},
      {Topic::kDamage, damage_ratio, 1.0, false, "its damage is {} times what the plan predicted",
       "The plan was made from few windows or its curve does not hold here: more --plan_windows "
       "may "
       "help."},
      {Topic::kFactor, [](const LayerReport& layer) { return positive(layer.condition); }, 0.5,
       false, "the condition of its H is {}", "More calibration text makes H easier to invert."},
      {Topic::kRange, [](const LayerReport& layer) { return positive(layer.activation_max); }, 0.6,
       false, "its input reaches {}", ""},
      {Topic::kDrift, [](const LayerReport& layer) { return positive(layer.stream_gap); }, 0.6,
       false, "its input differs from the dense model's by {} of its size",
       "What the layers before have lost arrives here."},
      {Topic::kSize, [](const LayerReport& layer) { return positive(layer.stored_bits); }, 0.5,
       true, "it takes {} bits a weight", ""},
      {Topic::kTime, [](const LayerReport& layer) { return positive(layer.seconds); }, 0.1, false,
       "it took {} seconds", ""}};
  return all;
}

void compare(const LayerReport& layer, const std::string& kind, const Measure& measure,
             const Medians& medians, std::vector<Sign>& signs) {
  const std::optional<double> value = measure.value(layer);
  const double median = medians.of(kind);
  if (!value || !std::isfinite(*value) || median <= 0.0) return;
  const double doublings = std::log2(*value / median);
  const double score = measure.weight * (measure.both_ways ? std::abs(doublings) : doublings);
  const std::string subject = fmt::format(fmt::runtime(measure.text), figure(*value));
  signs.push_back({measure.topic, score,
                   fmt::format("{} where {} is {} ({} times that)", subject, medians.name(kind),
                               figure(median), figure(*value / median)),
                   std::abs(doublings) >= 1.0 ? measure.advice : ""});
}

void judge_factor(const LayerReport& layer, std::vector<Sign>& signs) {
  const auto tries = static_cast<double>(layer.damping_steps.size());
  if (tries > 1.0) {
    signs.push_back({Topic::kFactor, 2.0 + tries,
                     fmt::format("H could be factorised at the {}. try only, with damping {:g}{} "
                                 "instead of {:g}",
                                 layer.damping_steps.size(), layer.damping,
                                 layer.damping_steps.back().float64 ? " in float64" : "",
                                 layer.damping_steps.front().percdamp),
                     "More or more varied calibration text helps."});
  }
  if (layer.output_error > 1.0) {
    signs.push_back({Topic::kError, kSevere,
                     fmt::format("its output error of {} is more than its output: the linear does "
                                 "more harm than none",
                                 figure(layer.output_error)),
                     "Leave it out with --prune_only and --invert, or give it more bits."});
  }
}

void judge_channels(const LayerReport& layer, double usual_dead, double usual_massive,
                    std::vector<Sign>& signs) {
  const auto columns = static_cast<double>(layer.columns);
  const auto dead = static_cast<double>(layer.dead_channels);
  const auto massive = static_cast<double>(layer.massive_channels);
  if (dead > usual_dead) {
    signs.push_back(
        {Topic::kChannels, 1.0 + 6.0 * (dead - usual_dead) / columns,
         fmt::format("{} of its {} input channels never fired; the weights there are zero",
                     layer.dead_channels, layer.columns),
         "Other text may need them."});
  }
  if (massive > usual_massive) {
    signs.push_back({Topic::kRange, std::log2((massive + 1.0) / (usual_massive + 1.0)),
                     fmt::format("of its {} input channels {} {} over 100 times the median energy",
                                 layer.columns, layer.massive_channels,
                                 layer.massive_channels == 1 ? "has" : "have"),
                     ""});
  }
  if (layer.constant_channels > 0) {
    signs.push_back(
        {Topic::kChannels, 1.0 + 4.0 * static_cast<double>(layer.constant_channels) / columns,
         fmt::format("of its {} input channels {} never {}", layer.columns, layer.constant_channels,
                     layer.constant_channels == 1 ? "changes" : "change"),
         ""});
  }
}

void judge_range(const LayerReport& layer, std::vector<Sign>& signs) {
  const double share = float16_share(layer);
  if (share > 1.0) {
    signs.push_back(
        {Topic::kRange, kSevere,
         fmt::format("its input reaches {}, beyond float16's 65,504", figure(layer.activation_max)),
         "A runtime that computes in float16 overflows here."});
  } else if (share > 0.25) {
    signs.push_back({Topic::kRange, 10.0 * share,
                     fmt::format("its input reaches {}, {:.0f} % of float16's range",
                                 figure(layer.activation_max), 100.0 * share),
                     "A longer text may overflow it."});
  }
}

/// The two oddest figures, of different topics, and what may help.
Oddity describe(std::size_t index, std::vector<Sign> signs) {
  std::erase_if(signs, [](const Sign& sign) { return sign.score < kLeastScore; });
  std::stable_sort(signs.begin(), signs.end(),
                   [](const Sign& a, const Sign& b) { return a.score > b.score; });
  for (auto sign = signs.begin(); sign != signs.end(); ++sign) {
    signs.erase(std::remove_if(sign + 1, signs.end(),
                               [&](const Sign& other) { return other.topic == sign->topic; }),
                signs.end());
  }
  Oddity oddity{index, 0.0, ""};
  if (signs.empty()) return oddity;
  oddity.score = signs.front().score;
  for (std::size_t i = 1; i < signs.size(); ++i) oddity.score += kShareOfOthers * signs[i].score;
  oddity.why = signs[0].text + (signs.size() > 1 ? "; " + signs[1].text : "") + ".";
  oddity.why.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(oddity.why[0])));
  for (std::size_t i = 0; i < std::min<std::size_t>(2, signs.size()); ++i) {
    if (!signs[i].advice.empty()) oddity.why += " " + signs[i].advice;
  }
  return oddity;
}

}  // namespace

std::vector<Oddity> find_oddities(const std::vector<LayerReport>& layers, std::size_t most) {
  const std::vector<report::LayerPlace> places = report::layer_places(layers);
  std::vector<Medians> medians;
  for (const Measure& measure : measures()) medians.emplace_back(layers, places, measure.value);
  const auto count = [&](std::int64_t LayerReport::*member) {
    return Medians(layers, places, [member](const LayerReport& layer) {
      return std::optional(static_cast<double>(layer.*member));
    });
  };
  const Medians dead = count(&LayerReport::dead_channels);
  const Medians massive = count(&LayerReport::massive_channels);
  const auto deficient = std::count_if(
      layers.begin(), layers.end(), [](const LayerReport& layer) { return layer.rank_deficient; });
  std::vector<Oddity> oddities;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerReport& layer = layers[i];
    const std::string& kind = places[i].kind;
    std::vector<Sign> signs;
    for (std::size_t m = 0; m < medians.size(); ++m) {
      compare(layer, kind, measures()[m], medians[m], signs);
    }
    judge_factor(layer, signs);
    judge_channels(layer, dead.of(kind), massive.of(kind), signs);
    judge_range(layer, signs);
    if (layer.rank_deficient) {
      const double share = static_cast<double>(deficient) / static_cast<double>(layers.size());
      signs.push_back({Topic::kTokens, 2.0 * (1.0 - share) + 0.3,
                       fmt::format("{} calibration tokens are fewer than its {} channels",
                                   layer.calibration_tokens, layer.columns),
                       "More --nsamples help."});
    }
    Oddity oddity = describe(i, std::move(signs));
    if (!oddity.why.empty()) oddities.push_back(std::move(oddity));
  }
  std::stable_sort(oddities.begin(), oddities.end(),
                   [](const Oddity& a, const Oddity& b) { return a.score > b.score; });
  if (oddities.size() > most) oddities.resize(most);
  return oddities;
}

}  // namespace sgpt_mi::recorder

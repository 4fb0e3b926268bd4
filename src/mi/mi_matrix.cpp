#include "sgpt_mi/mi/mi_matrix.h"

#include <array>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::mi {
namespace {

constexpr std::array<std::pair<Estimator, std::string_view>, 4> kNames{
    {{Estimator::kGaussian, "gaussian"},
     {Estimator::kHistogram, "histogram"},
     {Estimator::kKde, "kde"},
     {Estimator::kKsg, "ksg"}}};

}  // namespace

std::string_view estimator_name(Estimator estimator) {
  for (const auto& [value, name] : kNames) {
    if (value == estimator) return name;
  }
  fail(ErrorKind::kInternal, "mi: unknown estimator {}", static_cast<int>(estimator));
}

Estimator parse_estimator(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::kUsage,
       "mi: the estimator is '{}'; expected gaussian, histogram, kde or ksg; choose one of them",
       name);
}

}  // namespace sgpt_mi::mi

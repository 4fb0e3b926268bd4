#include "sgpt_mi/mi/mi_matrix.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::mi {
namespace {

constexpr Names<Estimator, 4> kNames{{{"gaussian", Estimator::kGaussian},
                                      {"histogram", Estimator::kHistogram},
                                      {"kde", Estimator::kKde},
                                      {"ksg", Estimator::kKsg}}};

}  // namespace

std::string estimator_name(Estimator estimator) { return name_of(kNames, estimator); }

Estimator parse_estimator(std::string_view name) {
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::kUsage,
       "mi: the estimator is '{}'; expected gaussian, histogram, kde or ksg; choose one of them",
       name);
}

}  // namespace sgpt_mi::mi

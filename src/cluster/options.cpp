#include <array>
#include <utility>

#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cluster {
namespace {

constexpr std::array<std::pair<Method, std::string_view>, 3> kNames{
    {{Method::kSpectral, "spectral"},
     {Method::kHierarchical, "hierarchical"},
     {Method::kKMeans, "kmeans"}}};

void at_least(std::int64_t value, std::int64_t least, const char* name, const char* meaning) {
  if (value >= least) return;
  fail(ErrorKind::kUsage, "cluster: {} is {}; expected at least {}, {}", name, value, least,
       meaning);
}

}  // namespace

std::string_view method_name(Method method) {
  for (const auto& [value, name] : kNames) {
    if (value == method) return name;
  }
  fail(ErrorKind::kInternal, "cluster: unknown method {}", static_cast<int>(method));
}

Method parse_method(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::kUsage,
       "cluster: the method is '{}'; expected spectral, hierarchical or kmeans; choose one of them",
       name);
}

void ClusterOptions::validate() const {
  at_least(groups, 0, "groups", "the number of groups, or 0 to choose it from the eigenvalues");
  at_least(max_groups, 2, "max_groups", "the largest number of groups that groups = 0 may choose");
  at_least(smallest_group, 1, "smallest_group", "a number of channels");
  at_least(restarts, 1, "restarts", "runs of k-means");
  at_least(max_iterations, 1, "max_iterations", "passes over the matrix");
  if (!(residual_tolerance >= 1e-6 && residual_tolerance <= 0.1)) {
    fail(ErrorKind::kUsage,
         "cluster: residual_tolerance is {}; expected a share of the largest eigenvalue in [1e-6, "
         "0.1]",
         residual_tolerance);
  }
}

}  // namespace sgpt_mi::cluster

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

}  // namespace

Method parse_method(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::kUsage,
       "cluster: the method is '{}'; expected spectral, hierarchical or kmeans; choose one of them",
       name);
}

}  // namespace sgpt_mi::cluster

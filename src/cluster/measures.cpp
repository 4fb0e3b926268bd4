#include <algorithm>
#include <limits>

#include "labels.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cluster {
namespace {

/// (b - a) / max(a, b), 0 where that is 0 / 0.
double silhouette_of(double own, double other) {
  const double larger = std::max(own, other);
  return larger > 0.0 ? (other - own) / larger : 0.0;
}

/// Least mean distance of a channel to a group that is not its own.
double nearest_other(const double* sums, std::int32_t own, const std::vector<std::int64_t>& sizes) {
  double nearest = std::numeric_limits<double>::infinity();
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    if (g == place(own)) continue;
    nearest = std::min(nearest, 1.0 - sums[g] / static_cast<double>(sizes[g]));
  }
  return nearest;
}

}  // namespace

void measure(Clustering& clustering, const torch::Tensor& affinity) {
  const auto channels = static_cast<std::int64_t>(clustering.labels.size());
  ensure(channels > 0 && affinity.dim() == 2 && affinity.size(0) == channels &&
             affinity.size(1) == channels && affinity.scalar_type() == torch::kFloat32,
         "cluster: the affinity is not (N, N) float32 for N labels");
  const torch::Tensor sums = affinity_to_groups(affinity, clustering.labels, clustering.groups);
  const double* row = sums.data_ptr<double>();
  std::vector<double> inside(clustering.sizes.size(), 0.0);
  double silhouette = 0.0;
  for (const std::int32_t label : clustering.labels) {
    const auto others = static_cast<double>(clustering.sizes[place(label)] - 1);
    if (others > 0.0) {
      const double own = row[place(label)] / others;
      inside[place(label)] += own / (others + 1.0);
      if (clustering.groups > 1) {
        silhouette += silhouette_of(1.0 - own, nearest_other(row, label, clustering.sizes));
      }
    }
    row += clustering.groups;
  }
  clustering.silhouette = silhouette / static_cast<double>(channels);
  clustering.mean_affinity = inside;
}

}  // namespace sgpt_mi::cluster

#include "sgpt_mi/cluster/clustering.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <utility>

#include "embedding.h"
#include "hierarchical.h"
#include "kmeans.h"
#include "labels.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::cluster {
namespace {

/// Principal components that k-means works on: as many as twice the groups keep the distances
/// between them, and a few more cost nothing.
std::int64_t component_count(std::int64_t groups) { return std::max<std::int64_t>(16, 2 * groups); }

void check_groups(std::int64_t groups, std::int64_t channels) {
  if (groups <= channels) return;
  fail(ErrorKind::kUsage, "cluster: {} groups for {} channels; expected at most {}; ask for fewer",
       groups, channels, channels);
}

void check_affinity(const torch::Tensor& affinity) {
  ensure(affinity.dim() == 2 && affinity.size(0) == affinity.size(1) && affinity.size(0) > 0 &&
             affinity.scalar_type() == torch::kFloat32,
         "cluster: the affinity is not (N, N) float32");
  const auto [least, most] = at::aminmax(affinity);
  const auto low = least.item<float>();
  const auto high = most.item<float>();
  // NaN fails both comparisons.
  if (low >= 0.0F && high <= 1.0F) return;
  fail(ErrorKind::kNumeric,
       "cluster: affinities lie between {} and {}; expected numbers in [0, 1]; check the "
       "calibration statistics",
       low, high);
}

/// Clusters one affinity: the steps share the degrees, the random stream and the result's fields.
class AffinityClusterer {
 public:
  AffinityClusterer(const torch::Tensor& affinity, const ClusterOptions& options)
      : affinity_(affinity),
        options_(options),
        degrees_(degrees_of(affinity)),
        random_(options.seed) {}

  [[nodiscard]] Clustering run() {
    const std::int64_t groups = groups_of_live_channels();
    Labels labels(static_cast<std::size_t>(affinity_.size(0)), 0);
    if (groups > 1) {
      const Labels live = label_live_channels(groups);
      for (std::size_t i = 0; i < live.size(); ++i) {
        labels[static_cast<std::size_t>(degrees_.live[i])] = live[i];
      }
    }
    if (options_.groups != 1 && !degrees_.live.empty()) set_isolated_apart(labels, groups);
    merge_small(labels);
    Clustering result = make_clustering(std::move(labels));
    measure(result, affinity_);
    return result;
  }

 private:
  [[nodiscard]] std::int64_t live_count() const {
    return static_cast<std::int64_t>(degrees_.live.size());
  }

  /// K, or K - 1 when the isolated channels form a group. Fills pairs_ where K is automatic.
  [[nodiscard]] std::int64_t groups_of_live_channels() {
    if (live_count() == 0) return 0;
    if (options_.groups > 0) {
      const auto isolated = static_cast<std::int64_t>(degrees_.isolated.size());
      const bool apart = isolated > 0 && isolated >= options_.smallest_group;
      return std::clamp<std::int64_t>(options_.groups - (apart ? 1 : 0), 1, live_count());
    }
    const std::int64_t largest =
        std::min({kMostGroups, live_count() / options_.smallest_group, live_count() - 1});
    if (largest < 2) return 1;
    pairs_ = normalized_eigenpairs(affinity_, degrees_, largest + 1, random_);
    return largest_eigengap(pairs_.values, largest);
  }

  [[nodiscard]] torch::Tensor live_rows(const torch::Tensor& rows) const {
    if (degrees_.isolated.empty()) return rows.contiguous();
    return rows.index_select(0, at::tensor(degrees_.live, torch::kInt64).to(rows.device()));
  }

  [[nodiscard]] Labels label_live_channels(std::int64_t groups) {
    switch (options_.method) {
      case Method::kSpectral:
        return spectral_labels(groups);
      case Method::kHierarchical:
        return hierarchical_labels(groups);
      default:
        return kmeans_labels(live_rows(profile_components(groups)), groups);
    }
  }

  [[nodiscard]] Labels spectral_labels(std::int64_t groups) {
    if (!pairs_.values.defined()) {
      pairs_ = normalized_eigenpairs(affinity_, degrees_, groups, random_);
    }
    const torch::Tensor rows = live_rows(pairs_.vectors.narrow(1, 0, groups));
    const torch::Tensor length = rows.norm(2, {1}, /*keepdim=*/true);
    // A row can be 0 in the leading eigenvectors: it stays at the origin.
    return kmeans_labels(rows / length.masked_fill(length.eq(0), 1.0), groups);
  }

  [[nodiscard]] Labels hierarchical_labels(std::int64_t groups) const {
    torch::Tensor distance = affinity_.to(torch::kCPU, torch::kFloat32, false, /*copy=*/true);
    if (!degrees_.isolated.empty()) {
      const torch::Tensor live = at::tensor(degrees_.live, torch::kInt64);
      distance = distance.index_select(0, live).index_select(1, live);
    }
    const torch::Tensor one_minus = distance.neg_().add_(1.0).contiguous();
    Labels labels = cut_tree(average_linkage(one_minus), groups, options_.smallest_group);
    number_by_first_channel(labels);
    return labels;
  }

  /// The rows of S + I in principal components.
  [[nodiscard]] torch::Tensor profile_components(std::int64_t groups) {
    const auto apply = [this](const torch::Tensor& block) {
      return at::mm(affinity_, block.to(torch::kFloat32)).to(torch::kFloat64) + block;
    };
    const std::int64_t components = std::min(component_count(groups), affinity_.size(0));
    return principal_components({affinity_.size(0), apply, apply, affinity_.device()},
                                random_block(degrees_.order, block_columns(components), random_),
                                components);
  }

  [[nodiscard]] Labels kmeans_labels(const torch::Tensor& points, std::int64_t groups) {
    std::vector<std::int64_t> live_place(static_cast<std::size_t>(affinity_.size(0)), 0);
    for (std::size_t i = 0; i < degrees_.live.size(); ++i) {
      live_place[static_cast<std::size_t>(degrees_.live[i])] = static_cast<std::int64_t>(i);
    }
    KMeansProblem problem{points.contiguous(), {}, groups};
    // Isolated channels come first in the order of degrees.
    for (std::size_t i = degrees_.isolated.size(); i < degrees_.order.size(); ++i) {
      problem.order.push_back(live_place[static_cast<std::size_t>(degrees_.order[i])]);
    }
    return kmeans(problem, random_).labels;
  }

  /// A label of their own for isolated channels; merge_small() decides whether it lasts.
  void set_isolated_apart(Labels& labels, std::int64_t groups) const {
    for (const std::int64_t channel : degrees_.isolated) {
      labels[static_cast<std::size_t>(channel)] = static_cast<std::int32_t>(groups);
    }
  }

  void merge_small(Labels& labels) const {
    const std::int64_t groups = number_by_first_channel(labels);
    const std::vector<std::int64_t> sizes = sizes_of(labels, groups);
    if (*std::min_element(sizes.begin(), sizes.end()) >= options_.smallest_group) return;
    merge_small_groups(labels, mean_affinities(affinity_, labels, groups), options_.smallest_group);
  }

  const torch::Tensor& affinity_;
  const ClusterOptions& options_;
  Degrees degrees_;
  PythonRandom random_;
  Eigenpairs pairs_;
};

/// Row lengths of the profiles, (N) float64 on the CPU.
torch::Tensor profile_lengths(const torch::Tensor& profiles) {
  torch::Tensor length = profiles.norm(2, {1}).to(torch::kCPU, torch::kFloat64);
  const torch::Tensor wrong = at::isfinite(length).logical_not_();
  if (wrong.any().item<bool>()) {
    fail(ErrorKind::kNumeric,
         "cluster: the profile of channel {} is not finite; expected numbers whose squares float32 "
         "can sum; check the calibration statistics",
         wrong.nonzero()[0][0].item<std::int64_t>());
  }
  return length;
}

/// The profiles as points for k-means, narrow ones as they are.
torch::Tensor profile_points(const torch::Tensor& profiles, const DrawOrder& order,
                             std::int64_t groups, PythonRandom& random) {
  const std::int64_t components = component_count(groups);
  if (profiles.size(1) <= components) {
    return profiles.to(torch::kCPU, torch::kFloat64).contiguous();
  }
  const auto product = [&](const torch::Tensor& matrix) {
    return [matrix](const torch::Tensor& block) {
      return at::mm(matrix, block.to(torch::kFloat32)).to(torch::kFloat64);
    };
  };
  const std::int64_t wanted = std::min(components, profiles.size(0));
  return principal_components(
      {profiles.size(0), product(profiles), product(profiles.t()), profiles.device()},
      random_block(order, block_columns(wanted), random), wanted);
}

/// Similarity of groups by their centres: minus the squared distance.
GroupMatrix center_similarity(const torch::Tensor& centers) {
  const torch::Tensor similarity =
      (centers.unsqueeze(0) - centers.unsqueeze(1)).square().sum(2).neg().contiguous();
  return {centers.size(0),
          {similarity.data_ptr<double>(), similarity.data_ptr<double>() + similarity.numel()}};
}

}  // namespace

Method parse_method(std::string_view name) {
  constexpr Names<Method, 3> kNames{{{"spectral", Method::kSpectral},
                                     {"hierarchical", Method::kHierarchical},
                                     {"kmeans", Method::kKMeans}}};
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
  }
  fail(ErrorKind::kUsage,
       "cluster: the method is '{}'; expected spectral, hierarchical or kmeans; choose one of them",
       name);
}

Clustering cluster_affinity(const torch::Tensor& affinity, const ClusterOptions& options) {
  check_affinity(affinity);
  check_groups(options.groups, affinity.size(0));
  return AffinityClusterer(affinity, options).run();
}

Clustering cluster_profiles(const torch::Tensor& profiles, const ClusterOptions& options) {
  ensure(profiles.dim() == 2 && profiles.size(0) > 0 && profiles.scalar_type() == torch::kFloat32,
         "cluster: the profiles are not (N, D) float32");
  if (options.groups == 0) {
    fail(ErrorKind::kUsage,
         "cluster: groups is 0 for profiles; automatic numbers come from an affinity's "
         "eigenvalues; give the number of groups");
  }
  check_groups(options.groups, profiles.size(0));
  const DrawOrder order = order_by(profile_lengths(profiles));
  PythonRandom random(options.seed);
  KMeansResult found = kmeans(
      {profile_points(profiles, order, options.groups, random), order, options.groups}, random);
  merge_small_groups(found.labels, center_similarity(found.centers), options.smallest_group);
  return make_clustering(std::move(found.labels));
}

}  // namespace sgpt_mi::cluster

#include "sgpt_mi/widths/site_groups.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/cluster/controls.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/mi/gaussian.h"
#include "sgpt_mi/mi/sampled.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::widths {
namespace {

/// A seed that differs between sites and follows from the run's.
std::uint64_t site_seed(const walk::SiteInput& input, std::uint64_t seed) {
  const auto place = static_cast<std::uint64_t>(input.layer) * model::kSites +
                     static_cast<std::uint64_t>(input.site);
  return seed * 1'000'003U + place;
}

mi::MiMatrix mutual_information(const walk::SiteInput& input, const GroupingOptions& options) {
  const calib::LayerStats& stats = input.stats;
  if (options.estimator == mi::Estimator::kGaussian) {
    return mi::gaussian_mi(stats.second_moment_sum, stats.channel_sum, stats.tokens);
  }
  mi::SampledOptions sampled;
  sampled.seed = site_seed(input, options.seed);
  return mi::sampled_mi(input.samples, options.estimator, sampled);
}

torch::Tensor correlation_of(const calib::LayerStats& stats, bool as_affinity) {
  const mi::Correlation correlation =
      mi::correlation(stats.second_moment_sum, stats.channel_sum, stats.tokens);
  return as_affinity ? correlation.affinity() : correlation.rho;
}

std::vector<double> hessian_diagonal(const calib::LayerStats& stats) {
  const torch::Tensor diagonal =
      stats.second_moment_sum.diagonal().to(torch::kCPU, torch::kFloat64).contiguous();
  const double* data = diagonal.const_data_ptr<double>();
  return {data, data + diagonal.numel()};
}

cluster::Clustering cluster_channels(const walk::SiteInput& input, const torch::Tensor& affinity,
                                     const GroupingOptions& options) {
  const calib::LayerStats& stats = input.stats;
  cluster::ClusterOptions clustering;
  clustering.method = options.clustering;
  clustering.groups = options.groups;
  clustering.seed = site_seed(input, options.seed);
  switch (options.grouping) {
    case Grouping::kMi:
      return cluster::cluster_affinity(affinity, clustering);
    case Grouping::kCorr:
      return cluster::cluster_affinity(correlation_of(stats, true), clustering);
    case Grouping::kKmeans:
      return cluster::cluster_profiles(correlation_of(stats, false), clustering);
    case Grouping::kRandom:
      return cluster::random_groups(affinity.size(0), options.groups, clustering.seed);
    case Grouping::kHessian:
      return cluster::sorted_groups(hessian_diagonal(stats), options.groups);
    case Grouping::kContiguous:
      return cluster::contiguous_groups(affinity.size(0), options.groups);
    case Grouping::kChannels:
      break;
  }
  fail(ErrorKind::kInternal, "pipeline: unknown grouping {}", static_cast<int>(options.grouping));
}

}  // namespace

std::vector<std::int32_t> neighbour_labels(std::int64_t channels, std::int64_t per_group) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(channels));
  for (std::size_t j = 0; j < labels.size(); ++j) {
    labels[j] = static_cast<std::int32_t>(j / static_cast<std::size_t>(per_group));
  }
  return labels;
}

std::vector<std::int32_t> grid_labels(const walk::SiteInput& input, std::int64_t channels,
                                      std::int64_t per_group, bool any_order) {
  if (!any_order) return neighbour_labels(channels, per_group);
  return cluster::sorted_groups(hessian_diagonal(input.stats),
                                (channels + per_group - 1) / per_group)
      .labels;
}

SiteGroups group_site(const walk::SiteInput& input, const GroupingOptions& options,
                      bool keep_affinity, std::map<std::string, double>& timings) {
  SiteGroups result;
  if (options.grouping == Grouping::kChannels) return result;
  mi::MiMatrix information;
  {
    const walk::StageTimer timer(timings, "mi");
    information = mutual_information(input, options);
  }
  const walk::StageTimer timer(timings, "cluster");
  cluster::Clustering clustering = cluster_channels(input, information.normalized, options);
  if (options.grouping != Grouping::kMi) cluster::measure(clustering, information.normalized);
  result.labels = std::move(clustering.labels);
  result.groups = clustering.groups;
  result.mean_affinity = std::move(clustering.mean_affinity);
  result.silhouette = clustering.silhouette;
  if (keep_affinity) result.affinity = std::move(information.normalized);
  return result;
}

}  // namespace sgpt_mi::widths

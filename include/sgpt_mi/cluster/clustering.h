#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace sgpt_mi::cluster {

/// N channels in K groups, none of them empty, and how good the groups are.
struct Clustering {
  std::vector<std::int32_t> labels;  ///< N: the group of every channel, 0 .. groups - 1
  std::int64_t groups = 0;
  std::vector<std::int64_t> sizes;  ///< K: channels of every group, at least 1
  /// Mean silhouette (Rousseeuw 1987) for the distance 1 - affinity, in [-1, 1]: with a the mean
  /// distance of a channel to its own group and b the least mean distance to another one,
  /// (b - a) / max(a, b). 0 for channels alone in their group, for equal a and b, and for one
  /// group; so it is always defined.
  double silhouette = 0.0;
  /// K: mean affinity over the pairs inside every group; 0 for a group of one.
  std::vector<double> mean_affinity;
};

enum class Method : std::uint8_t { kSpectral, kHierarchical, kKMeans };

/// The method "spectral", "hierarchical" or "kmeans". Throws Error(kUsage) with the names that
/// exist.
[[nodiscard]] Method parse_method(std::string_view name);

/// The largest K that is chosen where K is automatic.
inline constexpr std::int64_t kMostGroups = 20;

/// Settings of cluster_affinity and cluster_profiles.
struct ClusterOptions {
  Method method = Method::kSpectral;
  /// K, at least 1; 0: where the eigenvalues fall most, among 2 .. kMostGroups (eigengap).
  std::int64_t groups = 10;
  /// Groups with fewer channels are merged into the one they have most affinity to; at least 1.
  /// The result then has fewer than K groups.
  std::int64_t smallest_group = 2;
  std::uint64_t seed = 0;  ///< of the eigensolver's start and of k-means++
};

/// Groups the channels of an affinity matrix S.
///
/// spectral      Ng, Jordan & Weiss 2001: the K leading eigenvectors of M = D^-1/2 S D^-1/2 with D
///               the row sums, rows scaled to length 1, k-means++ on the rows.
/// hierarchical  Average linkage on the distance 1 - S by nearest-neighbour chains (Muellner 2011),
///               cut at the level with fewest groups of which K reach smallest_group.
/// kmeans        k-means++ on the channels' profiles, the rows of S + I, in their leading principal
///               components: see cluster_profiles.
///
/// Eigenvectors: all of them in float64 up to 284 channels (for K = 10). Above that, block subspace
/// iteration with Rayleigh-Ritz: the subspace of all blocks so far is kept and restarted when full
/// (a block Krylov space), because plain powers converge slowly when eigenvalues lie close
/// together.
///
/// Channels whose row is all 0 are isolated: when there are at least smallest_group of them they
/// form one of the K groups, else they join the largest group. There can be fewer than K groups:
/// see smallest_group.
///
/// Labels are numbered by each group's first channel. The same seed, machine and thread count give
/// the same labels. Permuting the channels permutes the labels (up to numbering) wherever the
/// method's optimum is unique: all random numbers are dealt out in the order of the row sums, not
/// of the channels.
///
/// \param affinity  (N, N) float32, symmetric, in [0, 1], diagonal 0, CPU or CUDA; not changed.
///
/// Cost: spectral and kmeans 4 to 12 products of S with 24 columns in cluster_bench, O(N K) memory:
/// 0.3 s of one core at N = 4096, 3 s at 13,824. hierarchical O(N^2) with one copy of S on the CPU,
/// 0.3 s at 4096.
///
/// \throws Error(kUsage)    more groups than channels.
/// \throws Error(kNumeric)  an affinity outside [0, 1] or not finite.
/// \throws Error(kInternal) a tensor of another shape or type.
[[nodiscard]] Clustering cluster_affinity(const torch::Tensor& affinity,
                                          const ClusterOptions& options = {});

/// k-means++ with restarts on the channels' profiles, for example their correlations with all
/// channels. Wide profiles are first projected onto their leading max(16, 2 K) principal components
/// (uncentred), which keeps the distances between clusters (Cohen et al. 2015, arXiv 1410.6801).
///
/// silhouette and mean_affinity are 0 until measure() is called. options.method is not read;
/// options.groups must be given. Small groups join the one with the nearest centre. Numbering,
/// seeds and permutations as in cluster_affinity.
///
/// \param profiles  (N, D) float32, CPU or CUDA; not changed.
///
/// \throws Error(kUsage)    groups = 0; more groups than channels.
/// \throws Error(kNumeric)  naming the channel: a profile that is not finite.
/// \throws Error(kInternal) a tensor of another shape or type.
[[nodiscard]] Clustering cluster_profiles(const torch::Tensor& profiles,
                                          const ClusterOptions& options = {});

/// Fills silhouette and mean_affinity of any grouping, so that controls are measured like clusters.
///
/// \param affinity  as in cluster_affinity, N = the number of labels.
///
/// Cost: one product of S with K columns.
/// \throws Error(kInternal) a matrix that does not belong to the labels.
void measure(Clustering& clustering, const torch::Tensor& affinity);

}  // namespace sgpt_mi::cluster

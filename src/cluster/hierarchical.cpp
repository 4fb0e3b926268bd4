#include "hierarchical.h"

#include <algorithm>
#include <numeric>

namespace sgpt_mi::cluster {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

/// Clusters that are left, each known by one of its members, and their distances.
class ClusterDistances {
 public:
  explicit ClusterDistances(const torch::Tensor& distance)
      : values_(distance.data_ptr<float>()),
        count_(distance.size(0)),
        size_(static_cast<std::size_t>(count_), 1),
        left_(static_cast<std::size_t>(count_)) {
    std::iota(left_.begin(), left_.end(), 0);
  }

  [[nodiscard]] float operator()(std::int32_t i, std::int32_t j) const {
    return values_[static_cast<std::int64_t>(i) * count_ + j];
  }
  [[nodiscard]] std::int32_t any() const { return left_.front(); }

  /// The cluster nearest to i: `preferred` (when >= 0) before equally near ones, else the first.
  [[nodiscard]] std::int32_t nearest(std::int32_t i, std::int32_t preferred) const {
    const float* row = values_ + static_cast<std::int64_t>(i) * count_;
    std::int32_t best = preferred;
    for (const std::int32_t j : left_) {
      if (j != i && (best < 0 || row[j] < row[best])) best = j;
    }
    return best;
  }

  /// Cluster `gone` becomes part of cluster `kept`.
  void merge(std::int32_t gone, std::int32_t kept) {
    const auto gone_size = static_cast<double>(size_[at(gone)]);
    const auto kept_size = static_cast<double>(size_[at(kept)]);
    left_.erase(std::lower_bound(left_.begin(), left_.end(), gone));
    for (const std::int32_t k : left_) {
      if (k == kept) continue;
      const double mean = (gone_size * static_cast<double>((*this)(gone, k)) +
                           kept_size * static_cast<double>((*this)(kept, k))) /
                          (gone_size + kept_size);
      values_[static_cast<std::int64_t>(kept) * count_ + k] = static_cast<float>(mean);
      values_[static_cast<std::int64_t>(k) * count_ + kept] = static_cast<float>(mean);
    }
    size_[at(kept)] += size_[at(gone)];
  }

 private:
  float* values_;
  std::int64_t count_;
  std::vector<std::int64_t> size_;
  std::vector<std::int32_t> left_;  ///< ascending
};

/// Clusters while merges are replayed.
class Forest {
 public:
  explicit Forest(std::size_t count) : parent_(count), size_(count, 1) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  [[nodiscard]] std::int32_t root(std::int32_t i) {
    while (parent_[at(i)] != i) {
      parent_[at(i)] = parent_[at(parent_[at(i)])];
      i = parent_[at(i)];
    }
    return i;
  }

  /// Returns by how much the number of clusters with `smallest` members changed.
  std::int64_t join(const Merge& merge, std::int64_t smallest) {
    const std::int32_t a = root(merge.first);
    const std::int32_t b = root(merge.second);
    const auto counts = [&](std::int64_t size) { return size >= smallest ? 1 : 0; };
    const std::int64_t before = counts(size_[at(a)]) + counts(size_[at(b)]);
    parent_[at(a)] = b;
    size_[at(b)] += size_[at(a)];
    return counts(size_[at(b)]) - before;
  }

 private:
  std::vector<std::int32_t> parent_;
  std::vector<std::int64_t> size_;
};

}  // namespace

std::vector<Merge> average_linkage(const torch::Tensor& distance) {
  const auto count = static_cast<std::size_t>(distance.size(0));
  ClusterDistances clusters(distance);
  std::vector<Merge> merges;
  std::vector<std::int32_t> chain;
  while (merges.size() + 1 < count) {
    if (chain.empty()) chain.push_back(clusters.any());
    const std::int32_t tip = chain.back();
    const std::int32_t before = chain.size() > 1 ? chain[chain.size() - 2] : -1;
    const std::int32_t nearest = clusters.nearest(tip, before);
    if (nearest != before) {
      chain.push_back(nearest);
      continue;
    }
    // Two clusters that are nearest to each other.
    merges.push_back({tip, before, clusters(tip, before)});
    clusters.merge(tip, before);
    chain.resize(chain.size() - 2);
  }
  std::stable_sort(merges.begin(), merges.end(),
                   [](const Merge& a, const Merge& b) { return a.height < b.height; });
  return merges;
}

Labels cut_tree(const std::vector<Merge>& merges, std::int64_t groups, std::int64_t smallest) {
  const std::size_t count = merges.size() + 1;
  Forest trial(count);
  std::int64_t large = smallest <= 1 ? static_cast<std::int64_t>(count) : 0;
  std::int64_t most = std::min(large, groups);
  std::size_t level = 0;
  for (std::size_t m = 0; m < merges.size(); ++m) {
    large += trial.join(merges[m], smallest);
    if (std::min(large, groups) < most) continue;
    most = std::min(large, groups);
    level = m + 1;
  }
  Forest forest(count);
  for (std::size_t m = 0; m < level; ++m) forest.join(merges[m], smallest);
  Labels labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = forest.root(static_cast<std::int32_t>(i));
  return labels;
}

}  // namespace sgpt_mi::cluster

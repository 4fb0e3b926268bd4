#include "kmeans.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace sgpt_mi::cluster {
namespace {

/// Lloyd's iterations end by themselves, almost always within 50; this bounds the rest.
constexpr int kMostIterations = 300;

/// Points per task of the loops over points.
constexpr std::int64_t kGrain = 512;

double squared_distance(const double* a, const double* b, std::int64_t d) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < d; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// One run from one set of seeds.
class Run {
 public:
  explicit Run(const KMeansProblem& problem)
      : problem_(problem),
        count_(problem.points.size(0)),
        dimensions_(problem.points.size(1)),
        points_(problem.points.data_ptr<double>()),
        distance_(static_cast<std::size_t>(count_)),
        labels_(static_cast<std::size_t>(count_), 0),
        centers_(at::zeros({problem.groups, dimensions_}, torch::kFloat64)) {}

  [[nodiscard]] KMeansResult finish(PythonRandom& random) {
    seed(random);
    for (int iteration = 0; iteration < kMostIterations; ++iteration) {
      const Labels before = labels_;
      assign();
      fill_empty_groups();
      if (iteration > 0 && labels_ == before) break;
      average();
    }
    KMeansResult result;
    for (std::int64_t i = 0; i < count_; ++i) {
      result.inertia += squared_distance(point(i), center(labels_[index(i)]), dimensions_);
    }
    result.labels = std::move(labels_);
    result.centers = std::move(centers_);
    return result;
  }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  [[nodiscard]] const double* point(std::int64_t i) const { return points_ + i * dimensions_; }
  [[nodiscard]] double* center(std::int64_t g) {
    return centers_.data_ptr<double>() + g * dimensions_;
  }

  /// k-means++: each seed is a point drawn with probability proportional to its squared distance
  /// from the seeds before it; the first one, and any when all distances are 0, evenly.
  void seed(PythonRandom& random) {
    std::fill(distance_.begin(), distance_.end(), 1.0);
    for (std::int64_t g = 0; g < problem_.groups; ++g) {
      const std::int64_t chosen = draw(random);
      std::copy_n(point(chosen), dimensions_, center(g));
      at::parallel_for(0, count_, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const double distance = squared_distance(point(i), center(g), dimensions_);
          distance_[index(i)] = g == 0 ? distance : std::min(distance, distance_[index(i)]);
        }
      });
    }
  }

  [[nodiscard]] std::int64_t draw(PythonRandom& random) {
    double total = 0.0;
    for (const std::int64_t i : problem_.order) total += distance_[index(i)];
    const double share = uniform(random);
    if (!(total > 0.0)) {
      return problem_.order[index(static_cast<std::int64_t>(share * static_cast<double>(count_)))];
    }
    double left = share * total;
    std::int64_t last = problem_.order.back();
    for (const std::int64_t i : problem_.order) {
      const double weight = distance_[index(i)];
      if (weight <= 0.0) continue;
      last = i;
      left -= weight;
      if (left < 0.0) break;
    }
    return last;  // rounding can leave the last point with a weight
  }

  /// Every point to its nearest centre, the first of equally near ones.
  void assign() {
    // |x - c|^2 without |x|^2, which is the same for all centres.
    const torch::Tensor score = at::addmm(centers_.square().sum(1), problem_.points, centers_.t(),
                                          /*beta=*/1.0, /*alpha=*/-2.0)
                                    .contiguous();
    const double* scores = score.data_ptr<double>();
    at::parallel_for(0, count_, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const double* row = scores + i * problem_.groups;
        labels_[index(i)] =
            static_cast<std::int32_t>(std::min_element(row, row + problem_.groups) - row);
      }
    });
  }

  void fill_empty_groups() {
    std::vector<std::int64_t> sizes = sizes_of(labels_, problem_.groups);
    for (std::int64_t g = 0; g < problem_.groups; ++g) {
      if (sizes[index(g)] > 0) continue;
      std::int64_t farthest = -1;
      double most = -1.0;
      for (const std::int64_t i : problem_.order) {
        const std::int32_t label = labels_[index(i)];
        if (sizes[place(label)] < 2) continue;
        const double distance = squared_distance(point(i), center(label), dimensions_);
        if (distance > most) std::tie(farthest, most) = std::pair(i, distance);
      }
      --sizes[place(labels_[index(farthest)])];
      labels_[index(farthest)] = static_cast<std::int32_t>(g);
      ++sizes[index(g)];
    }
  }

  /// Centres to the means of their points.
  void average() {
    centers_.zero_();
    for (std::int64_t i = 0; i < count_; ++i) {
      double* mean = center(labels_[index(i)]);
      const double* x = point(i);
      for (std::int64_t c = 0; c < dimensions_; ++c) mean[c] += x[c];
    }
    const std::vector<std::int64_t> sizes = sizes_of(labels_, problem_.groups);
    for (std::int64_t g = 0; g < problem_.groups; ++g) {
      const double share = 1.0 / static_cast<double>(sizes[index(g)]);
      for (std::int64_t c = 0; c < dimensions_; ++c) center(g)[c] *= share;
    }
  }

  const KMeansProblem& problem_;
  std::int64_t count_;
  std::int64_t dimensions_;
  const double* points_;
  std::vector<double> distance_;  ///< squared, to the nearest seed
  Labels labels_;
  torch::Tensor centers_;
};

}  // namespace

KMeansResult kmeans(const KMeansProblem& problem, PythonRandom& random) {
  KMeansResult best;
  for (std::int64_t restart = 0; restart < problem.restarts; ++restart) {
    KMeansResult result = Run(problem).finish(random);
    if (restart == 0 || result.inertia < best.inertia) best = std::move(result);
  }
  return best;
}

}  // namespace sgpt_mi::cluster

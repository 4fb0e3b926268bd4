#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "estimates.h"
#include "sgpt_mi/core/python_random.h"

namespace sgpt_mi::mi {
namespace {

/// Kraskov et al. 2004, section II: "adding very low-amplitude noise to the data (10^-10, say)".
constexpr double kTieNoise = 1e-10;

/// One channel in units of its deviation.
struct Channel {
  std::vector<double> value;       ///< (T)
  std::vector<double> sorted;      ///< (T) ascending
  std::vector<std::size_t> token;  ///< (T) of the sorted values
};

bool has_equal_values(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

void standardize(std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0.0;
  for (double& value : values) {
    value -= mean;
    squares += value * value;
  }
  const double deviation = std::sqrt(squares / count);
  if (deviation == 0.0) return;
  for (double& value : values) value /= deviation;
}

/// `random` is drawn from only for a channel with equal values, token by token.
Channel prepare(const float* values, std::int64_t tokens, PythonRandom random) {
  Channel channel;
  channel.value.assign(values, values + tokens);
  const bool tied = has_equal_values(channel.value);
  standardize(channel.value);
  if (tied) {
    for (double& value : channel.value) {
      const auto share = static_cast<double>(random.getrandbits(53)) * 0x1p-53;
      value += kTieNoise * (share - 0.5);
    }
  }
  channel.token.resize(channel.value.size());
  std::iota(channel.token.begin(), channel.token.end(), std::size_t{0});
  std::sort(channel.token.begin(), channel.token.end(), [&](std::size_t a, std::size_t b) {
    return channel.value[a] != channel.value[b] ? channel.value[a] < channel.value[b] : a < b;
  });
  for (const std::size_t t : channel.token) channel.sorted.push_back(channel.value[t]);
  return channel;
}

/// Values nearer to `center` than `radius`, without the center itself.
std::int64_t count_within(const std::vector<double>& sorted, double center, double radius) {
  const auto first = std::partition_point(sorted.begin(), sorted.end(),
                                          [&](double v) { return center - v >= radius; });
  const auto last =
      std::partition_point(first, sorted.end(), [&](double v) { return v - center < radius; });
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(last - first) - 1);
}

/// The k smallest of the distances it is shown.
class Nearest {
 public:
  explicit Nearest(std::int64_t k) : distance_(static_cast<std::size_t>(k)) {}

  void clear() {
    std::fill(distance_.begin(), distance_.end(), std::numeric_limits<double>::infinity());
  }
  void show(double distance) {
    if (distance >= distance_.back()) return;
    std::size_t place = distance_.size() - 1;
    for (; place > 0 && distance_[place - 1] > distance; --place) {
      distance_[place] = distance_[place - 1];
    }
    distance_[place] = distance;
  }
  [[nodiscard]] double largest() const { return distance_.back(); }

 private:
  std::vector<double> distance_;
};

/// psi(1) .. psi(count); element n - 1 is psi(n).
std::vector<double> digamma_table(std::int64_t count) {
  constexpr double kEuler = 0.57721566490153286;
  std::vector<double> table{-kEuler};
  for (std::int64_t n = 1; n < count; ++n) {
    table.push_back(table.back() + 1.0 / static_cast<double>(n));
  }
  return table;
}

/// The estimate for one pair of channels at a time, with scratch memory.
class KsgPair {
 public:
  KsgPair(std::int64_t neighbors, const std::vector<double>& digamma)
      : neighbors_(neighbors), nearest_(neighbors), digamma_(digamma) {}

  [[nodiscard]] double nats(const Channel& x, const Channel& y) {
    y_by_x_.clear();
    for (const std::size_t t : x.token) y_by_x_.push_back(y.value[t]);
    double sum = 0.0;
    for (std::size_t place = 0; place < x.sorted.size(); ++place) {
      const double radius = distance_to_neighbor(x.sorted, place);
      sum += psi(count_within(x.sorted, x.sorted[place], radius) + 1) +
             psi(count_within(y.sorted, y_by_x_[place], radius) + 1);
    }
    const auto tokens = static_cast<std::int64_t>(x.sorted.size());
    return psi(neighbors_) + psi(tokens) - sum / static_cast<double>(tokens);
  }

 private:
  [[nodiscard]] double psi(std::int64_t n) const {
    return digamma_[static_cast<std::size_t>(n) - 1];
  }

  /// Walks away from `place` along x in both directions until x alone is farther than the k-th
  /// neighbour found.
  [[nodiscard]] double distance_to_neighbor(const std::vector<double>& x, std::size_t place) {
    constexpr double kEnd = std::numeric_limits<double>::infinity();
    nearest_.clear();
    std::size_t left = place;
    std::size_t right = place + 1;
    while (true) {
      const double to_left = left > 0 ? x[place] - x[left - 1] : kEnd;
      const double to_right = right < x.size() ? x[right] - x[place] : kEnd;
      const double nearer = std::min(to_left, to_right);
      if (nearer >= nearest_.largest()) return nearest_.largest();
      const std::size_t next = to_left <= to_right ? --left : right++;
      nearest_.show(std::max(nearer, std::abs(y_by_x_[next] - y_by_x_[place])));
    }
  }

  std::int64_t neighbors_;
  Nearest nearest_;
  const std::vector<double>& digamma_;
  std::vector<double> y_by_x_;
};

}  // namespace

void ksg_mi(const torch::Tensor& samples, std::int64_t neighbors, std::uint64_t seed,
            const PairOutput& output) {
  const torch::Tensor values = samples.t().contiguous();  // (N, T): a channel's values together
  const std::int64_t tokens = values.size(1);
  std::vector<Channel> channels(static_cast<std::size_t>(values.size(0)));
  const float* data = values.data_ptr<float>();
  at::parallel_for(0, values.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // A stream per channel: two channels must not get the same noise.
      const PythonRandom random(seed * static_cast<std::uint64_t>(values.size(0)) +
                                static_cast<std::uint64_t>(i));
      channels[static_cast<std::size_t>(i)] = prepare(data + i * tokens, tokens, random);
    }
  });
  const std::vector<double> digamma = digamma_table(tokens);
  const PairWriter writer(output);
  for_each_pair(values.size(0), [&] {
    return [&, pair = KsgPair(neighbors, digamma)](std::int64_t i, std::int64_t j) mutable {
      const double nats =
          pair.nats(channels[static_cast<std::size_t>(i)], channels[static_cast<std::size_t>(j)]);
      writer.write(i, j, nats, informational_correlation(nats));
    };
  });
}

}  // namespace sgpt_mi::mi

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "estimates.h"

namespace sgpt_mi::mi {
namespace {

/// One channel's bins.
struct Binned {
  std::vector<std::uint8_t> code;  ///< bin of every token
  std::int64_t bins = 0;           ///< in use
  double entropy = 0.0;            ///< nats
};

/// n ln n for n = 0 .. count: with it entropies are sums of table entries.
std::vector<double> n_log_n_table(std::int64_t count) {
  std::vector<double> table(static_cast<std::size_t>(count) + 1, 0.0);
  for (std::size_t n = 2; n < table.size(); ++n) {
    const auto value = static_cast<double>(n);
    table[n] = value * std::log(value);
  }
  return table;
}

/// Entropy of frequencies counts / total, in nats.
double entropy_of(const std::vector<std::uint32_t>& counts, std::int64_t total,
                  const std::vector<double>& n_log_n) {
  double sum = 0.0;
  for (const std::uint32_t count : counts) sum += n_log_n[count];
  const auto tokens = static_cast<double>(total);
  return std::log(tokens) - sum / tokens;
}

std::int64_t distinct_values(const std::vector<float>& sorted) {
  std::int64_t distinct = 1;
  for (std::size_t t = 1; t < sorted.size(); ++t) {
    if (sorted[t] != sorted[t - 1]) ++distinct;
  }
  return distinct;
}

/// Values at which a new bin starts, ascending. A bin is closed after a run of equal values as soon
/// as it holds its share of what was left when it began; few values get one bin each.
std::vector<float> bin_starts(const std::vector<float>& sorted, std::int64_t bins) {
  const bool one_each = distinct_values(sorted) <= bins;
  const auto count = static_cast<std::int64_t>(sorted.size());
  std::vector<float> starts{sorted.front()};
  std::int64_t begin = 0;
  for (std::int64_t t = 1; t < count; ++t) {
    const auto at = static_cast<std::size_t>(t);
    if (sorted[at] == sorted[at - 1]) continue;
    const std::int64_t bins_left = bins - static_cast<std::int64_t>(starts.size()) + 1;
    const bool full = bins_left > 1 && (t - begin) * bins_left >= count - begin;
    if (!one_each && !full) continue;
    starts.push_back(sorted[at]);
    begin = t;
  }
  return starts;
}

Binned bin_channel(const float* values, std::int64_t tokens, std::int64_t bins,
                   const std::vector<double>& n_log_n) {
  std::vector<float> sorted(values, values + tokens);
  std::sort(sorted.begin(), sorted.end());
  const std::vector<float> starts = bin_starts(sorted, bins);
  Binned result;
  result.bins = static_cast<std::int64_t>(starts.size());
  std::vector<std::uint32_t> counts(starts.size(), 0);
  result.code.reserve(static_cast<std::size_t>(tokens));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto above = std::upper_bound(starts.begin(), starts.end(), values[t]);
    const auto code = static_cast<std::size_t>(above - starts.begin()) - 1;
    result.code.push_back(static_cast<std::uint8_t>(code));
    ++counts[code];
  }
  result.entropy = entropy_of(counts, tokens, n_log_n);
  return result;
}

/// I of one pair of binned channels, in nats. `joint` is scratch memory.
double plug_in_nats(const Binned& a, const Binned& b, const std::vector<double>& n_log_n,
                    std::vector<std::uint32_t>& joint) {
  const auto width = static_cast<std::size_t>(b.bins);
  joint.assign(static_cast<std::size_t>(a.bins) * width, 0);
  for (std::size_t t = 0; t < a.code.size(); ++t) ++joint[a.code[t] * width + b.code[t]];
  const double entropy = entropy_of(joint, static_cast<std::int64_t>(a.code.size()), n_log_n);
  // Never negative but for rounding.
  return std::max(0.0, a.entropy + b.entropy - entropy);
}

}  // namespace

void histogram_mi(const torch::Tensor& samples, std::int64_t bins, const PairOutput& output) {
  const torch::Tensor values = samples.t().contiguous();  // (N, T): a channel's values together
  const std::int64_t tokens = values.size(1);
  const std::vector<double> n_log_n = n_log_n_table(tokens);
  std::vector<Binned> channels(static_cast<std::size_t>(values.size(0)));
  const float* data = values.data_ptr<float>();
  at::parallel_for(0, values.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      channels[static_cast<std::size_t>(i)] = bin_channel(data + i * tokens, tokens, bins, n_log_n);
    }
  });
  const PairWriter writer(output);
  for_each_pair(values.size(0), [&] {
    return [&, joint = std::vector<std::uint32_t>()](std::int64_t i, std::int64_t j) mutable {
      const Binned& a = channels[static_cast<std::size_t>(i)];
      const Binned& b = channels[static_cast<std::size_t>(j)];
      const double nats = plug_in_nats(a, b, n_log_n, joint);
      const double entropies = a.entropy + b.entropy;
      writer.write(i, j, nats, entropies > 0.0 ? std::min(1.0, 2.0 * nats / entropies) : 0.0);
    };
  });
}

}  // namespace sgpt_mi::mi
